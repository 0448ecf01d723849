--- A thousand entities that all move in every tick, in ten areas.
local stdb = require "stdb"
local t = stdb.types

local ENTITIES, AREAS = 1000, 10

stdb.table("entity", { public = true,
  { "id",   t.u32, primary_key = "hash" },
  { "area", t.u32, index = true },
  { "x",    t.f32 },
  { "y",    t.f32 },
  { "z",    t.f32 },
})

stdb.on.init(function(ctx)
  for id = 0, ENTITIES - 1 do
    ctx.db.entity:insert { id = id, area = id % AREAS, x = id, y = id, z = 0 }
  end
end)

stdb.reducer("tick", { { "tick", t.u32 } }, function(ctx, tick)
  local entities = ctx.db.entity.id
  for id = 0, ENTITIES - 1 do
    local entity = entities:find(id)
    entity.x, entity.z = id + tick % 2 * 0.5 + 1, tick
    entities:update(entity)
  end
end)
