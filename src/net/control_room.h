/* control_room — where libwebsockets puts the control frames that come in.
 *
 * For each WebSocket it takes a buffer, whose size is also how much it reads at once: 64 KiB. Pieces of messages are handed
 * over where they were read; all that gets into the buffer are control frames, 125 bytes at most. As memory comes in
 * pages, those cost each connection 4 KiB. Here the buffers overlap: each begins 256 bytes behind the one before.
 *
 * Rules
 *   C1  Of a buffer only the beginning is written, with room for one control frame. So says the source of version 4.1.6,
 *       and so it is checked when a buffer comes back; every other version gets buffers that do not overlap.
 *   C2  Whatever is written to a buffer stays in the room: it ends behind the whole of the last one.
 *   C3  Connections come and go on one thread. */
#pragma once

/* libwebsockets takes its memory from here. Before it is started; more than once is fine. */
void control_room_open(void);
