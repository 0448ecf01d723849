--- What is expected of a server that official clients meet, row by row: where it is shown, or why this one is different.
---
--- checklist.tsv has the behaviours that SpacetimeDB's own tests look at; traps.tsv has the rules of its SQL and of its
--- semantics, and first what implementers get wrong. A row's number names it and no more. It names specs as
--- `file: sentence`, several with ` | ` between, or says in `apart` what is otherwise here, or does both. A spec that gets
--- another name gets it there as well.

local function read_file(path)
  local file = assert(io.open(path, "rb"), path .. " is not there")
  local text = file:read "*a"
  file:close()
  return text
end

local function split(text, separator)
  local parts, from = {}, 1
  while true do
    local first, last = text:find(separator, from, true)
    parts[#parts + 1] = text:sub(from, first and first - 1)
    if not first then return parts end
    from = last + 1
  end
end

--- The rows of a table: { number =, behaviour =, shown = { { file =, sentence = }, … }, apart = }.
local function read_rows(path)
  local rows, is_head = {}, true
  for line in read_file(path):gmatch "[^\n]+" do
    local cells = split(line, "\t")
    assert(#cells == 4, path .. " has a row of " .. #cells .. " cells: " .. line)
    if not is_head then
      local row = { number = cells[1], behaviour = cells[2], shown = {}, apart = cells[4] }
      for _, shown in ipairs(cells[3] ~= "" and split(cells[3], " | ") or {}) do
        local file, sentence = shown:match "^(%S-): (.+)$"
        row.shown[#row.shown + 1] = { file = assert(file, path .. " names no file: " .. shown), sentence = sentence }
      end
      rows[#rows + 1] = row
    end
    is_head = false
  end
  return rows
end

local texts = {}

local function has_spec(file, sentence)
  texts[file] = texts[file] or read_file(file):gsub("\\'", "'")
  return texts[file]:find('it("' .. sentence .. '"', 1, true) or texts[file]:find("it('" .. sentence .. "'", 1, true)
end

for name, count in pairs { checklist = 160, traps = 148 } do
  describe("the conformance table " .. name, function()
    local rows = read_rows("spec/conformance/" .. name .. ".tsv")

    it("has all its rows, each once", function()
      local seen = {}
      for _, row in ipairs(rows) do
        assert.is_nil(seen[row.number], "row " .. row.number .. " is there twice")
        seen[row.number] = true
      end
      assert.equal(count, #rows)
    end)

    it("names specs that exist, or a reason", function()
      local missing = {}
      for _, row in ipairs(rows) do
        if #row.shown == 0 and row.apart == "" then missing[#missing + 1] = row.number .. " is neither shown nor apart" end
        for _, shown in ipairs(row.shown) do
          if not has_spec(shown.file, shown.sentence) then
            missing[#missing + 1] = ("%s: there is no spec `%s` in %s"):format(row.number, shown.sentence, shown.file)
          end
        end
      end
      assert.equal("", table.concat(missing, "\n"))
    end)
  end)
end
