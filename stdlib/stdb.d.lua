---@meta stdb
-- luacheck: ignore 212 241
-- The whole API of a module, for the editor (LuaLS). Nothing here runs.

-- Of Lua there is: assert error getmetatable ipairs next pairs pcall print rawequal rawget rawset require select
-- setmetatable tonumber tostring type unpack xpcall _G string table math coroutine and bit. What is missing (os, io, debug,
-- load, ffi and others) would let a call do what neither a rollback nor the log knows of. `print` writes to the log,
-- math.random draws as ctx.random does, `require` finds files beside the module.

---@class stdb
--- What a module declares, and what it may ask. Everything is declared while the module loads; declaring later is
--- an error.
local stdb = {}

-- Declaring -----------------------------------------------------------------------------------------------------

---@alias stdb.IndexKind
---| true      # a B-tree: equal values, ranges, order
---| "btree"   # the same
---| "hash"    # equal values only, a little faster: a range in SQL looks at all rows, as EXPLAIN says
---| "direct"  # for small dense numbers and enums without payload

---@class stdb.Column A column: its name, its type and what it is for.
---@field [1] string             name, as on the wire, in SQL and in generated code
---@field [2] stdb.Type          type
---@field primary_key? stdb.IndexKind rows are told apart, found and updated by it; one a table
---@field unique? stdb.IndexKind no two rows have the same value
---@field index? stdb.IndexKind  rows are found by it
---@field auto_inc? boolean|stdb.Sequence a new row gets the next number where this column is 0 or left out
---@field default? any           the value of a new row that leaves the column out, and of old rows when the column is
--- added; stdb.none for an option without value. Not for keys, unique columns and auto_inc

---@class stdb.Sequence The numbers of an auto_inc column: 1, 2, 3 unless told otherwise. A number is given once, whatever is
--- rolled back or crashes, so there may be gaps; a number of your own does not move it; when none is left, inserting is an
--- error.
---@field start? number|stdb.Wide the first; by default `min`, or `max` when counting down
---@field min? number|stdb.Wide  1 by default; when counting down, what the column holds
---@field max? number|stdb.Wide  what the column holds, by default
---@field step? number           1 by default; below zero counts down

---@class stdb.Index An index over columns in order: { name = "by_place", "x", "y" }.
---@field [integer] string       the columns
---@field name? string           how it is reached: ctx.db.TABLE.NAME; the columns joined by _ when left out
---@field kind? stdb.IndexKind
---@field unique? boolean        no two rows have the same values in all its columns

---@class stdb.TableOptions
---@field [integer] stdb.Column  the columns, in the order they have on the wire
---@field public? boolean        clients may subscribe to it; else only the module and the owner see it
---@field event? boolean         its rows live for one transaction: clients hear of them, nothing is stored
---@field indexes? stdb.Index[]  indexes over several columns, or with names of their own
---@field schedule? string|stdb.Schedule each row runs this reducer when its time has come

---@class stdb.Schedule How rows run a reducer, whose one argument is the row. Clients cannot call that reducer. The
--- table has a primary key of type u64 and a column of type schedule_at: stdb.every { seconds = 5 } runs again and
--- again, stdb.after { minutes = 1 } or a timestamp once; then the row is deleted. Who deletes the row calls it off.
---
---     local reminder = stdb.table("reminder", { schedule = "remind",
---       { "id", t.u64, primary_key = true, auto_inc = true },
---       { "at", t.schedule_at },
---       { "text", t.string },
---     })
---     stdb.reducer("remind", { { "reminder", reminder } }, function(ctx, reminder) ... end)
---@field reducer string         its name
---@field at? string             the column that says when, if several could
---@field missed? "skip"|"catch_up" what becomes of ticks that passed while the server was busy or down: left out, which
--- is what happens unless told otherwise, or run one after the other

--- Declares a table. Returns the type of its rows, for use in other types.
---
--- Errors: a name declared twice; a type, option or column that is none; a second primary key; a key column of a type
--- that cannot be one (arrays, products, enums with payload); a default that does not fit its column;
--- an index called like a table's function (insert, iter, count, delete); a schedule without its reducer, key or time.
---@param name string
---@param columns stdb.TableOptions
---@return stdb.Type row
function stdb.table(name, columns) end

---@class stdb.Parameter
---@field [1] string    name
---@field [2] stdb.Type type

--- Declares a reducer: what clients call. It runs in a transaction of its own. When it raises, nothing it did remains.
--- Arguments are checked before it runs.
---
--- Errors: a name declared twice or that of a hook; a parameter's type that is none.
---@param name string
---@param parameters stdb.Parameter[]
---@param reducer fun(ctx: stdb.Context, ...)
---@overload fun(name: string, reducer: fun(ctx: stdb.Context))
function stdb.reducer(name, parameters, reducer) end

---@class stdb.ViewOptions
---@field returns stdb.Type      t.option(row), t.array(row) or t.query(row); a row is that of a table or a struct
---@field anonymous? boolean     everyone sees the same rows: they are worked out once, and the context has no sender
---@field primary_key? string    a column of the rows: clients see a row that changes as updated. No two rows share it

---@class stdb.ViewContext What a view may look at. It changes nothing, and knows neither time nor chance: while the tables
--- stay as they are it returns the same.
---@field sender stdb.Identity    who looks; not in an anonymous view
---@field db table<string, stdb.Table> the tables; not event tables
---@field log stdb.Log

--- Declares a view: rows that clients see and subscribe to as those of a table, worked out by a function. It runs again
--- when something that it has looked at changes: a row by its key, the rows of an index, or the whole table.
---
---     stdb.view("me", t.option(player), function(ctx) return ctx.db.player.id:find(ctx.sender) end)
---     stdb.view("party", t.array(player), function(ctx) return ctx.db.player.party:filter(7) end)
---     stdb.view("top", { returns = t.query(player), anonymous = true }, function()
---       return stdb.query("SELECT * FROM player WHERE level > ?", LEVEL)
---     end)
---
--- Errors: a name declared twice or that of a table or reducer; what it returns is no rows; a key that is no column.
---@param name string
---@param returns stdb.Type|stdb.ViewOptions
---@param view fun(ctx: stdb.ViewContext): any a row or nil; a list of rows, or a walk like that of filter; a query's text
function stdb.view(name, returns, view) end

--- The text of a query with values in it: each question mark outside of quotes becomes the literal of the next value, so
--- that no player's text becomes SQL.
---
--- Errors: more or fewer values than question marks; a value that SQL has no literal for (nil, tables, enums, durations).
---@param text string
---@param ... string|number|boolean|stdb.Identity|stdb.ConnectionId|stdb.Uuid|stdb.Timestamp|stdb.Wide
---@return string
function stdb.query(text, ...) end

--- Declares whose rows clients see: row-level security. Of a table that a filter selects from, clients see the rows that
--- one of its filters selects, and no others. The owner, reducers and views see all.
---
---     stdb.filter "SELECT * FROM message WHERE sender = :sender"
---
--- Errors: no text. What it says is checked when the module is published.
---@param sql string
function stdb.filter(sql) end

---@class stdb.Hooks
local on = {}
stdb.on = on

--- Runs once, when the database is made.
---@param hook fun(ctx: stdb.Context)
function on.init(hook) end

--- Runs when a client has connected. When it raises, the client is refused.
---@param hook fun(ctx: stdb.Context)
function on.connect(hook) end

--- Runs when a client is gone, whatever it raises.
---@param hook fun(ctx: stdb.Context)
function on.disconnect(hook) end

--- Refuses the call: everything it did is rolled back and the text goes to the caller. With more arguments the text
--- is a pattern for string.format. Does not return.
---@param text string
---@param ... any
function stdb.reject(text, ...) end

-- A call ----------------------------------------------------------------------------------------------------------

---@class stdb.Context Who calls, when, with what chance, and the tables. Good for one call: one kept longer is refused.
---@field sender stdb.Identity           who calls
---@field connection_id? stdb.ConnectionId over which connection; nil when the server itself calls
---@field timestamp stdb.Timestamp       when the call was accepted; the same all through it
---@field random stdb.Random             chance; a call that is run again draws the same
---@field db table<string, stdb.Table>   the tables by name; a name that is none is an error
---@field log stdb.Log

--- As math.random: random() is in [0, 1), random(m) a whole number in 1..m, random(m, n) one in m..n.
---
--- Errors: an empty interval, numbers that are not whole; used outside a call.
---@alias stdb.Random fun(m?: integer, n?: integer): number

---@class stdb.Log Lines of the module's log, with file and line. A text, or a pattern for string.format.
local log = {}
---@param text string
---@param ... any
function log.error(text, ...) end
---@param text string
---@param ... any
function log.warn(text, ...) end
---@param text string
---@param ... any
function log.info(text, ...) end
---@param text string
---@param ... any
function log.debug(text, ...) end
---@param text string
---@param ... any
function log.trace(text, ...) end

--- The same as ctx.log. `print` writes to it, too.
stdb.log = log

-- Tables ------------------------------------------------------------------------------------------------------------

---@class stdb.Row A row: a copy of what is stored, until `update`. Fields read and assign by name; a name that is no
--- column is an error at that line.
---@field [string] any

---@class stdb.Table
---@field [string] stdb.UniqueIndex the table's indexes; that over one column has the column's name. find, get, update,
--- upsert and insert_or_get are for unique ones
local Table = {}

--- Adds a row. Columns left out get their default, the next number (auto_inc) or none (option). Returns the row as
--- stored. A row equal to one that is there changes nothing.
---
--- Errors: a name that is no column; a value that does not fit its column, or one missing; a key that is taken.
---@param row table
---@return stdb.Row stored
function Table:insert(row) end

--- Walks all rows, in no promised order. Sees the rows that were there at its start, less those deleted since.
---
---     for player in ctx.db.player:iter() do ... end
---@return fun(walk: any): stdb.Row?
---@return any walk
function Table:iter() end

--- How many rows there are. The operator # does not know.
---@return integer
function Table:count() end

--- Deletes the row that equals this one in all columns.
---@param row table
---@return boolean deleted false when there is none
function Table:delete(row) end

---@class stdb.Range The last value of an index, from one to another. Left out: open.
---@field from? any     this and above
---@field above? any    above this
---@field to? any       this and below
---@field below? any    below this
---@field reverse? boolean downwards

---@class stdb.AnyIndex An index. An index over several columns takes their values in order, or the first few of them.
local Index = {}

--- Walks the rows with these values, or in a range, in the order of the index.
---
---     for player in ctx.db.player.level:filter(3) do ... end
---     for player in ctx.db.player.level:filter { from = 3, below = 9 } do ... end
---     for coin in ctx.db.coin.by_place:filter(x, { from = 0 }) do ... end
---
--- Rows whose option has no value are found by stdb.none, and are in no range.
---
--- Errors: a value of another type than the column's; NaN; too many values; a range or a prefix on a hash index.
---@param ... any|stdb.Range
---@return fun(walk: any): stdb.Row?
---@return any walk
function Index:filter(...) end

--- How many rows `filter` would find.
---@param ... any|stdb.Range
---@return integer
function Index:count(...) end

--- Deletes the rows that `filter` would find.
---@param ... any|stdb.Range
---@return integer deleted how many there were
function Index:delete(...) end

---@class stdb.UniqueIndex: stdb.AnyIndex A primary key, or another unique index.
local Unique = {}

--- The row with this key, or nil.
---@param ... any the key
---@return stdb.Row?
function Unique:find(...) end

--- The row with this key.
---
--- Errors: there is none.
---@param ... any the key
---@return stdb.Row
function Unique:get(...) end

--- Changes the row that has the key of this one. A row that came from the database is written whole. A table of your
--- own changes the columns that it names: update { id = 7, online = false, boss = stdb.none }. Returns the row as stored.
---
--- Errors: no row has this key; a value that does not fit its column; another key that is taken.
---@param row table
---@return stdb.Row stored
function Unique:update(row) end

--- As `update` when a row has this key, else as `insert`.
---@param row table
---@return stdb.Row stored
function Unique:upsert(row) end

--- The row with this key; where there is none, this one, inserted.
---
--- Errors: those of `insert`.
---@param row table
---@return stdb.Row stored
---@return boolean inserted
function Unique:insert_or_get(row) end

--- Deletes the row with this key, or the rows of a range as every index does.
---@param ... any|stdb.Range
---@return boolean|integer deleted of a whole key: whether there was a row; else how many
function Unique:delete(...) end

-- Types -------------------------------------------------------------------------------------------------------------

---@class stdb.Type
---@operator call(table): table

---@class stdb.EnumType: stdb.Type
---@field [string] any an enum without payloads: its name as a string. With payloads: Shape.Circle(2) builds a variant

---@class stdb.Variant A value of an enum with payloads, or of a result.
---@field tag string  the variant's name; "ok" and "err" of a result
---@field value any   its payload; nil when it has none

---@class stdb.Types
---@field bool stdb.Type
---@field u8 stdb.Type   numbers; writing refuses fractions and what does not fit
---@field u16 stdb.Type
---@field u32 stdb.Type
---@field u64 stdb.Type  a number up to 2^53, uint64_t beyond
---@field u128 stdb.Type stdb.Wide; numbers are fine for writing
---@field u256 stdb.Type
---@field i8 stdb.Type
---@field i16 stdb.Type
---@field i32 stdb.Type
---@field i64 stdb.Type  a number within 2^53, int64_t beyond
---@field i128 stdb.Type
---@field i256 stdb.Type
---@field f32 stdb.Type
---@field f64 stdb.Type
---@field string stdb.Type UTF-8
---@field bytes stdb.Type  a string of any bytes
---@field identity stdb.Type
---@field connection_id stdb.Type
---@field uuid stdb.Type
---@field timestamp stdb.Type
---@field duration stdb.Type
---@field schedule_at stdb.Type a timestamp: once, then; or a duration: every so often
---@field unit stdb.Type        an empty table
local types = {}
stdb.types = types

--- A list. One of options may have holes: then `n` is its length.
---@param element stdb.Type
---@return stdb.Type
function types.array(element) end

--- The value or nil. An option of an option is nil or { some = value }.
---@param some stdb.Type
---@return stdb.Type
function types.option(some) end

--- A variant with the tag "ok" or "err".
---@param ok stdb.Type
---@param err stdb.Type
---@return stdb.EnumType
function types.result(ok, err) end

--- What a view returns that gives the text of a query: the type of the rows it selects. No column has this type.
---@param row stdb.Type
---@return stdb.Type
function types.query(row) end

--- A table with these fields, without a name of its own.
---@param fields stdb.Parameter[]
---@return stdb.Type
function types.product(fields) end

--- A table with these fields. Clients know it by the name. Calling it checks the names at once: Point { x = 1, y = 2 }.
---
--- Errors: a type of this name is there already.
---@param name string
---@param fields stdb.Parameter[]
---@return stdb.Type
function types.struct(name, fields) end

--- One of these variants: "Name", or { "Name", type } with a payload.
---
---     local Color = t.enum("Color", { "Red", "Green" })                     -- "Red", or Color.Red
---     local Shape = t.enum("Shape", { { "Circle", t.f32 }, "Nothing" })     -- Shape.Circle(2), Shape.Nothing
---
--- Errors: a type of this name is there already; a variant twice; none, or more than 256.
---@param name string
---@param variants (string|{ [1]: string, [2]: stdb.Type })[]
---@return stdb.EnumType
function types.enum(name, variants) end

-- Values ------------------------------------------------------------------------------------------------------------
-- Small and immutable. Equal ones are the same table key, compare with == and join with .. as texts; two of a kind have
-- an order, for < and table.sort.

---@class stdb.None
--- An option without a value, where nil would say nothing: in a key, and in what `update` is to change.
stdb.none = {}

---@class stdb.Identity Prints as 64 hex digits.
---@operator concat(any): string
---@class stdb.ConnectionId Prints as 32 hex digits.
---@operator concat(any): string
---@class stdb.Uuid
---@operator concat(any): string
---@class stdb.Wide An integer of 128 or 256 bits. Orders and prints as a number; no arithmetic.
---@operator concat(any): string

---@class stdb.Timestamp Prints as 2030-01-31T12:30:00.000000Z.
---@field micros number   microseconds since 1970, whole
---@field seconds number  seconds since 1970, with fraction
---@operator sub(stdb.Timestamp): stdb.Duration
---@operator sub(stdb.Duration): stdb.Timestamp
---@operator add(stdb.Duration): stdb.Timestamp
---@operator concat(any): string

---@class stdb.Duration Prints as 1.5s.
---@field micros number
---@field seconds number
---@operator add(stdb.Duration): stdb.Duration
---@operator add(stdb.Timestamp): stdb.Timestamp
---@operator sub(stdb.Duration): stdb.Duration
---@operator unm: stdb.Duration
---@operator concat(any): string

--- From 64 hex digits. Errors: anything else.
---@param given string|stdb.Identity
---@return stdb.Identity
function stdb.identity(given) end

--- From 32 hex digits. Errors: anything else.
---@param given string|stdb.ConnectionId
---@return stdb.ConnectionId
function stdb.connection_id(given) end

--- From the usual form, 32 hex digits in five groups. Errors: anything else.
---@param given string|stdb.Uuid
---@return stdb.Uuid
function stdb.uuid(given) end

--- From microseconds since 1970, or from a text: "2030-01-31T12:30:00Z". Errors: anything else.
---@param given number|string|stdb.Timestamp
---@return stdb.Timestamp
function stdb.timestamp(given) end

---@class stdb.Span
---@field days? number
---@field hours? number
---@field minutes? number
---@field seconds? number
---@field milliseconds? number
---@field microseconds? number

--- From microseconds, or from parts: { minutes = 1, seconds = 30 }. Errors: anything else.
---@param given number|stdb.Span|stdb.Duration
---@return stdb.Duration
function stdb.duration(given) end

--- For a column of type schedule_at: again and again, this long apart. Errors: a duration that is not above zero.
---@param given number|stdb.Span|stdb.Duration
---@return stdb.Duration
function stdb.every(given) end

--- For a column of type schedule_at: once, this long after the time of the call. Errors: used outside a call.
---@param given number|stdb.Span|stdb.Duration
---@return stdb.Timestamp
function stdb.after(given) end

--- From a number or from decimal digits. Errors: anything else, or what does not fit; so for the three below.
---@param given number|string|stdb.Wide
---@return stdb.Wide
function stdb.u128(given) end
---@param given number|string|stdb.Wide
---@return stdb.Wide
function stdb.i128(given) end
---@param given number|string|stdb.Wide
---@return stdb.Wide
function stdb.u256(given) end
---@param given number|string|stdb.Wide
---@return stdb.Wide
function stdb.i256(given) end

return stdb
