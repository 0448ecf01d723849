--- Every fault that storage must have an answer to, and the specs that show the answer. This file only watches that
--- those specs are there; what they say of each fault is what the database promises.
---
---     stop     it does not start, or stops before anything else is acknowledged, and says why
---     recover  it goes on by itself, and no acknowledged transaction is lost
---     degrade  it does without something, and serves on
local server = require "spec.support.server"

local FAULTS = {
  { "the process is killed, at any moment", "recover",
    { "crash/verify_spec", "loses nothing acknowledged and leaves nothing half there, 20 times under load" },
    { "sim/simulate_spec", "survives the end of its process at any call that changes something" } },
  { "the power is cut, and what was not synced is lost, torn or out of order", "recover",
    { "wal/wal_spec", "loses nothing durable at any moment of a power cut, and keeps the order" },
    { "wal/fault_spec", "keeps what it acknowledged, whole and in order, through thousands of crashes" },
    { "snap/snap_spec", "at any step leaves the old snapshot or the new one" },
    { "sim/simulate_spec", "survives a power cut at any call that changes something" },
    { "sim/simulate_spec", "is what the model is, through crashes, restarts and every named fault" } },
  { "a torn tail of the log", "recover",
    { "wal/wal_spec", "recovers all records before the last when the last frame is cut at any byte" },
    { "wal/wal_spec", "says where it cut, once" },
    { "wal/wal_spec", "goes on behind a cut tail as if it never was" },
    { "engine/start_spec", "with a log that ends in a torn record cuts it and says so" } },
  { "a turned bit in acknowledged history", "stop",
    { "wal/wal_spec", "refuses every single flipped bit in what was acknowledged, naming file and byte" },
    { "wal/wal_spec", "names the record and the place of the proof" },
    { "engine/start_spec", "with a damaged log is refused with file and place, and changes nothing" } },
  { "a turned bit in the last segment, before the mark behind the last group is on disk", "stop",
    { "wal/wal_spec",
      "refuses a flipped bit in a last frame that has no mark, unless it looks as if a byte was never written" },
    { "wal/wal_spec", "loses no record to a flipped bit in the mark or in the zeros behind it" } },
  { "a turned bit in a segment's header", "stop",
    { "wal/wal_spec", "refuses a flipped bit in the header of any that has records" } },
  { "a turned bit in what says which segment is the newest", "stop",
    { "wal/retention_spec", "refuses every flipped bit in what says which file is the last" } },
  { "a turned bit in the database's identity", "stop",
    { "sim/engine_sim_spec", "refuses an identity in which a bit has changed" } },
  { "a missing segment", "stop",
    { "wal/wal_spec", "refuses a missing one" },
    { "wal/wal_spec", "refuses a missing first one" },
    { "wal/retention_spec", "is refused, though nothing else is missing" },
    { "wal/retention_spec", "needs no segment whose records are all older" } },
  { "two segments that changed places", "stop",
    { "wal/wal_spec", "refuses two that changed places" } },
  { "a segment that is there twice", "stop",
    { "wal/wal_spec", "refuses one that stands there twice" } },
  { "a segment of another database, or of another history of this one", "stop",
    { "wal/wal_spec", "refuses one of another database" },
    { "wal/wal_spec", "refuses one of another history of the same database" } },
  { "a last segment that is empty, or has half a header", "recover",
    { "wal/wal_spec", "uses a last segment again that has no header, half a header, or nothing but one" } },
  { "a log or a snapshot in a newer format", "stop",
    { "wal/wal_spec", "names the version it would need" },
    { "snap/snap_spec", "of another database, of a newer version or of another offset is refused" } },
  { "a snapshot that is cut, spoilt or half written", "recover",
    { "snap/snap_spec", "that was cut is refused at every length" },
    { "snap/snap_spec", "is refused, and says so" },
    { "snap/snap_spec", "is listed once it has its name, and leftovers are removed" },
    { "engine/snapshot_spec", "that is damaged is passed over for the one before, and said" } },
  { "a snapshot's file that is shorter than it says, or is cut while it is mapped", "recover",
    { "snap/snap_spec", "that was cut is refused at every length" },
    { "snap/snap_spec", "that is cut while it is read through its map is refused, and ends no process" } },
  { "LMDB's map is full", "recover",
    { "faults/lmdb_spec", "grows with what a snapshot holds" } },
  { "a lock file or stale readers of LMDB's", "recover",
    { "faults/lmdb_spec", "leaves no lock file, and does not look at one" } },
  { "a crash between a new snapshot and giving up the old log", "recover",
    { "wal/retention_spec", "leaves no gap whenever the power is cut" } },
  { "the disk is full", "stop",
    { "wal/fault_spec", "acknowledges what fits and nothing else, and says that the disk is full" },
    { "wal/fault_spec", "ends whole and marked, so that the last record is vouched for" },
    { "wal/fault_spec", "goes on where it was when there is room again" },
    { "protocol/durability_spec", "a start on a full disk is refused with the reason" } },
  { "the disk is full, for a snapshot", "degrade",
    { "snap/snap_spec", "that finds no room says so and leaves nothing" } },
  { "a write or a sync of the log fails", "stop",
    { "wal/wal_spec", "acknowledges nothing after a failed sync, and says so once" },
    { "wal/wal_spec", "stores again what it finds after a failed sync, before anything counts on it" },
    { "wal/fault_spec", "acknowledges nothing behind an error in any call, and loses nothing before it" },
    { "protocol/durability_spec",
      "the call is not acknowledged, the server ends and says why, and what was acknowledged is there" } },
  { "any one call to the disk fails", "recover",
    { "sim/simulate_spec", "survives an error in any call" } },
  { "a snapshot that cannot be read back", "recover",
    { "sim/engine_sim_spec", "takes a snapshot away that cannot be read back" },
    { "sim/engine_sim_spec", "keeps two good snapshots, however many damaged ones there are" } },
  { "a read fails", "stop",
    { "wal/fault_spec", "takes no failed read for the end of the log, and changes nothing then" },
    { "snap/snap_spec", "or a disk that cannot be read is no reason to believe a snapshot" } },
  { "a slow disk", "degrade",
    { "protocol/durability_spec", "a call's answer waits for the disk, and does not when the client said so" },
    { "protocol/durability_spec", "pings are answered, and clients that do not wait come in" } },
  { "a second process on the same directory", "stop",
    { "engine/start_spec", "in the same data directory is refused" } },
  { "a clock that jumps", "recover",
    { "faults/clock_spec", "keeps order, connections, snapshots and what it stored, however far it jumps " },
    { "faults/clock_spec", "gives up no snapshot that it would have kept, when it jumps backwards" },
    { "faults/clock_spec",
      "keeps two snapshots and the log behind them, when it jumps forwards past all that is to be kept" } },
  { "no file descriptors are left", "degrade",
    { "faults/descriptors_spec", "pauses to accept, and goes on serving, logging and taking snapshots from its reserve" },
    { "faults/descriptors_spec", "lets those in who had to wait, once others have gone" } },
  { "whatever is damaged, what is whole can be had", "recover",
    { "wal/reader_spec", "names every flipped bit of what was acknowledged, and loses no more than one frame to it" },
    { "cli/history_spec", "goes on behind a fault, names all of them, and what each has cost" },
    { "cli/salvage_spec", "marks what was written behind a lost record, and changes nothing in the database" } },
}

describe("storage's answer", function()
  for _, fault in ipairs(FAULTS) do
    it("to this is shown: " .. fault[1], function()
      assert.truthy(({ stop = true, recover = true, degrade = true })[fault[2]])
      assert.is_true(#fault > 2)
      for place = 3, #fault do
        local file, sentence = fault[place][1], fault[place][2]
        local text = assert(server.read_file("spec/" .. file .. ".lua"), file)
        assert.truthy(text:find('it("' .. sentence, 1, true), ("no spec in %s says: %s"):format(file, sentence))
      end
    end)
  end
end)
