--- The messages of the v2 and v3 protocols, and what frames are made of: what a client in a spec needs.
local bsatn = require("spec.support.bsatn")

local messages = {}

messages.types = bsatn.schema_file "schemas/messages_v2.types"

--- One client message as bytes: messages.client("OneOffQuery", { request_id = 1, query_string = "…" }).
function messages.client(tag, value)
    return bsatn.encode(messages.types.ClientMessage, { tag = tag, value = value })
end

--- The server messages of one uncompressed frame, in order; v2 puts one in a frame, v3 any number.
function messages.of_frame(frame)
    assert(frame:byte(1) == 0, "the frame is compressed")
    local list, at = {}, 2
    while at <= #frame do
        list[#list + 1], at = bsatn.decode(messages.types.ServerMessage, frame, at)
    end
    return list
end

--- The rows of a BsatnRowList, each as its bytes, split as the hint says.
function messages.rows(row_list)
    local data, hint = row_list.rows_data, row_list.size_hint
    local rows = {}
    if hint.tag == "FixedSize" then
        for first = 1, #data, hint.value do
            rows[#rows + 1] = data:sub(first, first + hint.value - 1)
        end
        return rows
    end
    for place, offset in ipairs(hint.value) do
        local behind = hint.value[place + 1] or #data
        rows[place] = data:sub(tonumber(offset) + 1, tonumber(behind))
    end
    return rows
end

--- The rows of a BsatnRowList as values of a row type.
function messages.decode_rows(row_list, row_type)
    local values = {}
    for place, row in ipairs(messages.rows(row_list)) do
        local value, behind = bsatn.decode(row_type, row)
        assert(behind == #row + 1, "the row is longer than its type")
        values[place] = value
    end
    return values
end

return messages
