/* The functions of host/abi.cdef that print, parse and check single values. */
#include "host/abi.h"

#include "base/text.h"
#include "host/vm.h"

enum { NUMBER_SIZE_MAX = 32, NAMES_MAX = 1024 };

/* Shows what was printed into the cleared vm->text. */
static int32_t show_text(struct vm *vm)
{
    vm->abi.text = (const char *)vm->text.data;
    vm->abi.text_size = (uint32_t)vm->text.size;
    return 0;
}

static struct buf *text_begin(stdb_vm *abi)
{
    struct vm *vm = vm_of(abi);
    buf_clear(&vm->text);
    return &vm->text;
}

static int32_t refuse_size(struct vm *vm, uint32_t size)
{
    diag_set(&vm->diag, ERR_BAD_VALUE, "a value of %u bytes cannot be printed", size);
    vm->abi.text = vm->diag.text;
    vm->abi.text_size = (uint32_t)strlen(vm->diag.text);
    return -(int32_t)ERR_BAD_VALUE;
}

int32_t stdb_number_print(stdb_vm *abi, const uint8_t *at, uint32_t size, int32_t is_signed)
{
    if (size == 0 || size > NUMBER_SIZE_MAX)
        return refuse_size(vm_of(abi), size);
    number_print(text_begin(abi), at, size, is_signed != 0);
    return show_text(vm_of(abi));
}

int32_t stdb_number_parse(const char *text, uint32_t text_size, uint8_t *at, uint32_t size, int32_t is_signed)
{
    return size > 0 && size <= NUMBER_SIZE_MAX && number_parse(bytes_of(text, text_size), at, size, is_signed != 0);
}

int32_t stdb_hex_print(stdb_vm *abi, const uint8_t *at, uint32_t size)
{
    uint8_t reversed[NUMBER_SIZE_MAX];
    if (size > sizeof reversed)
        return refuse_size(vm_of(abi), size);
    for (uint32_t idx = 0; idx < size; idx++)
        reversed[idx] = at[size - 1 - idx];
    hex_encode(text_begin(abi), bytes_of(reversed, size));
    return show_text(vm_of(abi));
}

int32_t stdb_hex_parse(const char *text, uint32_t text_size, uint8_t *at, uint32_t size)
{
    uint8_t reversed[NUMBER_SIZE_MAX];
    if (size > sizeof reversed || !hex_decode(bytes_of(text, text_size), reversed, size))
        return 0;
    for (uint32_t idx = 0; idx < size; idx++)
        at[idx] = reversed[size - 1 - idx];
    return 1;
}

int32_t stdb_timestamp_print(stdb_vm *abi, int64_t micros)
{
    timestamp_print(text_begin(abi), micros);
    return show_text(vm_of(abi));
}

int32_t stdb_timestamp_parse(const char *text, uint32_t text_size, int64_t *micros)
{
    return timestamp_parse(bytes_of(text, text_size), micros);
}

int32_t stdb_uuid_print(stdb_vm *abi, const uint8_t *at)
{
    uuid_print(text_begin(abi), at);
    return show_text(vm_of(abi));
}

int32_t stdb_uuid_parse(const char *text, uint32_t text_size, uint8_t *at)
{
    return uuid_parse(bytes_of(text, text_size), at);
}

int32_t stdb_utf8_check(const char *text, uint32_t size)
{
    return text_is_utf8(bytes_of(text, size));
}

/* Names beyond NAMES_MAX are not looked at: this only makes a message friendlier. */
int32_t stdb_nearest(const char *wanted, uint32_t wanted_size, const char *names, uint32_t names_size)
{
    bytes parts[NAMES_MAX];
    size_t count = 0;
    bytes left = bytes_of(names, names_size);
    while (left.size > 0 && count < NAMES_MAX) {
        const uint8_t *end = memchr(left.at, '\n', left.size);
        const size_t size = end != NULL ? (size_t)(end - left.at) : left.size;
        parts[count++] = bytes_of(left.at, size);
        const size_t taken = size + (end != NULL ? 1 : 0);
        left = bytes_of(left.at + taken, left.size - taken);
    }
    return text_nearest(bytes_of(wanted, wanted_size), parts, count);
}
