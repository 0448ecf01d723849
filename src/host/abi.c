/* The functions of host/abi.cdef that touch rows and words; abi_value.c has those of wide values. */
#include "host/abi.h"

#include "base/text.h"
#include "host/vm.h"
#include "sats/bsatn.h"
#include "txn/txn.h"

enum {
    LOG_SIZE_MAX = 65536, /* of one call */
    REJECTION_SIZE_MAX = sizeof((struct diag *)NULL)->text, /* more is not told */
};

/* A2 */
static int32_t refuse(struct vm *vm, err code)
{
    vm->abi.text = vm->diag.text;
    vm->abi.text_size = (uint32_t)strlen(vm->diag.text);
    return -(int32_t)code;
}

static err find_table(struct vm *vm, uint32_t place, const struct bound_table **table)
{
    if (!vm->abi.in_call)
        return diag_set(&vm->diag, ERR_MODULE, "tables may be used only while a reducer runs");
    if (place >= vm->binding->table_count)
        return diag_set(&vm->diag, ERR_NOT_FOUND, "there is no table %u", place);
    *table = &vm->binding->tables[place];
    const struct table_def *def = (*table)->table->def;
    if (vm->view != NULL && def->is_event)
        return diag_set(&vm->diag, ERR_MODULE, "a view cannot look at `%.*s`: the rows of an event table do not stay",
                        BYTES_FORMAT(def->name));
    return OK;
}

static err check_writable(struct vm *vm, const struct bound_table *table)
{
    if (vm->view == NULL)
        return OK;
    return diag_set(&vm->diag, ERR_MODULE, "a view reads tables and cannot change `%.*s`",
                    BYTES_FORMAT(table->table->def->name));
}

/* Tells who runs a view what it depends on. `index` is NULL for the whole table. */
static void note_read(const struct vm *vm, const struct bound_table *table, const struct bound_index *index,
                      const struct index_bound *lower, const struct index_bound *upper)
{
    const struct view_call *view = vm->view;
    if (view == NULL || view->read == NULL)
        return;
    struct view_read read = { .table = (uint32_t)(table - vm->binding->tables), .index = -1 };
    if (index != NULL) {
        read.index = (int32_t)(index - table->indexes);
        read.lower = *lower;
        read.upper = *upper;
    }
    view->read(view->read_context, &read);
}

static void note_key_read(const struct vm *vm, const struct bound_table *table, const struct bound_index *index, bytes key)
{
    const struct index_bound whole = { key, index->def->column_count, true };
    note_read(vm, table, index, &whole, &whole);
}

static err find_index(struct vm *vm, uint32_t table_place, uint32_t place, const struct bound_table **table,
                      const struct bound_index **index)
{
    TRY(find_table(vm, table_place, table));
    if (place >= (*table)->index_count)
        return diag_set(&vm->diag, ERR_NOT_FOUND, "table `%.*s` has no index %u",
                        BYTES_FORMAT((*table)->table->def->name), place);
    *index = &(*table)->indexes[place];
    return OK;
}

/* Whether there is a row to show. */
static bool show_row(struct vm *vm, const struct bound_table *table, rowref ref)
{
    const struct row *row = ref != ROWREF_NONE ? txn_row_at(vm->txn, table->table, ref) : NULL;
    if (row == NULL)
        return false;
    vm->abi.row = row->data;
    vm->abi.row_size = row->head & ROW_SIZE_MASK;
    return true;
}

int32_t stdb_insert(stdb_vm *abi, uint32_t table_place, const uint8_t *row, uint32_t size)
{
    struct vm *vm = vm_of(abi);
    const struct bound_table *table = NULL;
    rowref stored = ROWREF_NONE;
    err code = find_table(vm, table_place, &table);
    if (code == OK)
        code = check_writable(vm, table);
    if (code == OK)
        code = txn_insert(vm->txn, table->table, bytes_of(row, size), &stored, &vm->diag);
    if (code != OK)
        return refuse(vm, code);
    /* A row of an event table is not stored: it stays what it was. */
    if (!show_row(vm, table, stored)) {
        abi->row = row;
        abi->row_size = size;
    }
    return 0;
}

int32_t stdb_find(stdb_vm *abi, uint32_t table_place, uint32_t index_place, const uint8_t *key, uint32_t size)
{
    struct vm *vm = vm_of(abi);
    const struct bound_table *table = NULL;
    const struct bound_index *index = NULL;
    const bytes probe = bytes_of(key, size);
    err code = find_index(vm, table_place, index_place, &table, &index);
    if (code == OK)
        code = binding_check_key(table, index, probe, index->def->column_count, &vm->diag);
    if (code != OK)
        return refuse(vm, code);
    if (vm->view != NULL)
        note_key_read(vm, table, index, probe);
    if (vm->watched != NULL)
        foresight_learn(vm->watched, index->index, probe, bytes_of(abi->args, abi->args_size));
    return show_row(vm, table, index_find(index->index, probe));
}

int32_t stdb_update(stdb_vm *abi, uint32_t table_place, uint32_t index_place, const uint8_t *row, uint32_t size)
{
    struct vm *vm = vm_of(abi);
    const struct bound_table *table = NULL;
    const struct bound_index *index = NULL;
    rowref stored = ROWREF_NONE;
    err code = find_index(vm, table_place, index_place, &table, &index);
    if (code == OK)
        code = check_writable(vm, table);
    if (code == OK)
        code = txn_update(vm->txn, table->table, index->index, bytes_of(row, size), &stored, &vm->diag);
    if (code != OK)
        return refuse(vm, code);
    check(show_row(vm, table, stored));
    return 0;
}

int32_t stdb_delete_row(stdb_vm *abi, uint32_t table_place, const uint8_t *row, uint32_t size)
{
    struct vm *vm = vm_of(abi);
    const struct bound_table *table = NULL;
    size_t used = 0;
    err code = find_table(vm, table_place, &table);
    if (code == OK)
        code = check_writable(vm, table);
    if (code == OK)
        code = bsatn_check(table->table->def->row_type, bytes_of(row, size), &used, &vm->diag);
    if (code == OK && used != size)
        code = diag_set(&vm->diag, ERR_BAD_VALUE, "the row has %zu bytes too many", size - used);
    if (code != OK)
        return refuse(vm, code);
    const rowref ref = table_find_equal(table->table, bytes_of(row, size));
    if (ref == ROWREF_NONE)
        return 0;
    code = txn_delete(vm->txn, table->table, ref, &vm->diag);
    return code == OK ? 1 : refuse(vm, code);
}

int32_t stdb_count(stdb_vm *abi, uint32_t table_place)
{
    struct vm *vm = vm_of(abi);
    const struct bound_table *table = NULL;
    const err code = find_table(vm, table_place, &table);
    if (code != OK)
        return refuse(vm, code);
    note_read(vm, table, NULL, NULL, NULL);
    /* Something knows all the rows (B1), and deleted ones are in no index (X1). */
    if (table->index_count > 0)
        abi->count = (double)index_count(table->indexes[0].index);
    else
        abi->count = (double)table->table->row_set.count;
    return 0;
}

/* The range between two sides of an index. */
struct range {
    struct vm *vm;
    const struct bound_table *table;
    const struct bound_index *index;
    struct index_bound lower, upper;
    struct scan *scan; /* where references go */
    uint64_t count;
};

static err range_find(struct range *range, stdb_vm *abi, uint32_t table, uint32_t index, const stdb_bound *lower,
                      const stdb_bound *upper)
{
    *range = (struct range){ .vm = vm_of(abi) };
    struct diag *diag = &range->vm->diag;
    TRY(find_index(range->vm, table, index, &range->table, &range->index));
    TRY(binding_check_bound(range->table, range->index, lower, &range->lower, diag));
    TRY(binding_check_bound(range->table, range->index, upper, &range->upper, diag));
    note_read(range->vm, range->table, range->index, &range->lower, &range->upper);
    return OK;
}

static err range_walk(struct range *range, bool reverse, bool (*each)(void *context, rowref ref))
{
    return index_walk(range->index->index, range->lower, range->upper, reverse, each, range, &range->vm->diag);
}

static bool count_ref(void *context, rowref ref)
{
    struct range *range = context;
    range->count++;
    return true;
}

int32_t stdb_count_range(stdb_vm *abi, uint32_t table, uint32_t index, const stdb_bound *lower, const stdb_bound *upper)
{
    struct range range;
    err code = range_find(&range, abi, table, index, lower, upper);
    if (code == OK)
        code = range_walk(&range, false, count_ref);
    if (code != OK)
        return refuse(vm_of(abi), code);
    abi->count = (double)range.count;
    return 0;
}

/* Stops when the list may not grow: the scan is NULL then. */
static bool collect_ref(void *context, rowref ref)
{
    struct range *range = context;
    if (scans_add_ref(&range->vm->scans, range->scan, ref))
        return true;
    scans_close(&range->vm->scans, range->scan);
    range->scan = NULL;
    return false;
}

static err too_many(struct vm *vm)
{
    return diag_set(&vm->diag, ERR_TOO_LARGE, "the open walks of this call hold too many rows");
}

static err collect_range(struct range *range, bool reverse)
{
    range->scan = scans_open(&range->vm->scans, range->table);
    if (range->scan == NULL)
        return too_many(range->vm);
    const err code = range_walk(range, reverse, collect_ref);
    if (code != OK && range->scan != NULL)
        scans_close(&range->vm->scans, range->scan);
    return code == OK && range->scan == NULL ? too_many(range->vm) : code;
}

static void reverse_refs(struct scan *scan)
{
    for (uint32_t left = 0, right = scan->count; left + 1 < right; left++) {
        const rowref ref = scan->refs[left];
        scan->refs[left] = scan->refs[--right];
        scan->refs[right] = ref;
    }
}

static err collect_table(struct range *range, bool reverse)
{
    range->scan = scans_open(&range->vm->scans, range->table);
    if (range->scan == NULL)
        return too_many(range->vm);
    note_read(range->vm, range->table, NULL, NULL, NULL);
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&range->table->table->pages, &ref)) != NULL;) {
        if (!(row->head & ROW_GONE) && !collect_ref(range, ref))
            return too_many(range->vm);
    }
    if (reverse)
        reverse_refs(range->scan);
    return OK;
}

int32_t stdb_scan_open(stdb_vm *abi, uint32_t table, int32_t index, const stdb_bound *lower, const stdb_bound *upper,
                       int32_t reverse)
{
    struct vm *vm = vm_of(abi);
    struct range range = { .vm = vm };
    err code =
        index < 0 ? find_table(vm, table, &range.table) : range_find(&range, abi, table, (uint32_t)index, lower, upper);
    if (code == OK)
        code = index < 0 ? collect_table(&range, reverse != 0) : collect_range(&range, reverse != 0);
    return code == OK ? scans_number(&vm->scans, range.scan) : refuse(vm, code);
}

int32_t stdb_scan_next(stdb_vm *abi, int32_t number)
{
    struct vm *vm = vm_of(abi);
    struct scan *scan = scans_find(&vm->scans, number);
    if (scan == NULL)
        return 0;
    while (scan->place < scan->count) {
        if (show_row(vm, scan->table, scan->refs[scan->place++]))
            return 1;
    }
    scans_close(&vm->scans, scan);
    return 0;
}

void stdb_scan_close(stdb_vm *abi, int32_t number)
{
    struct vm *vm = vm_of(abi);
    struct scan *scan = scans_find(&vm->scans, number);
    if (scan != NULL)
        scans_close(&vm->scans, scan);
}

/* The rows are collected first: an index must not change under a walk. */
int32_t stdb_delete_range(stdb_vm *abi, uint32_t table, uint32_t index, const stdb_bound *lower,
                          const stdb_bound *upper)
{
    struct vm *vm = vm_of(abi);
    struct range range;
    err code = range_find(&range, abi, table, index, lower, upper);
    if (code == OK)
        code = check_writable(vm, range.table);
    if (code == OK)
        code = collect_range(&range, false);
    if (code != OK)
        return refuse(vm, code);
    for (uint32_t idx = 0; code == OK && idx < range.scan->count; idx++)
        code = txn_delete(vm->txn, range.table->table, range.scan->refs[idx], &vm->diag);
    abi->count = (double)range.scan->count;
    scans_close(&vm->scans, range.scan);
    return code == OK ? 0 : refuse(vm, code);
}

/* The guest's words, fit for logs and frames: UTF-8, bytes of anything else shown as question marks. */
static bytes clean_text(struct vm *vm, const char *text, size_t size)
{
    const bytes given = bytes_of(text, size);
    if (text_is_utf8(given))
        return given;
    buf_clear(&vm->text);
    for (size_t at = 0; at < size; at++)
        buf_put_u8(&vm->text, given.at[at] < 0x80 ? given.at[at] : '?');
    return buf_bytes(&vm->text);
}

void stdb_log(stdb_vm *abi, int32_t level, const char *text, uint32_t size, const char *file, uint32_t file_size,
              int32_t line)
{
    struct vm *vm = vm_of(abi);
    const bytes place = bytes_of(file, file_size);
    if (vm->logged > LOG_SIZE_MAX || level < 0 || level > 4)
        return;
    const size_t room = LOG_SIZE_MAX - vm->logged;
    vm->logged += size + 64; /* what a line costs beside its text */
    if (size <= room)
        vm_log(vm, level, place, line, clean_text(vm, text, size));
    else
        vm_log(vm, 1, place, line, BYTES_LITERAL("this call has logged 64 KiB: what it logs from here on is dropped"));
    if (size > room)
        vm->logged = LOG_SIZE_MAX + 1;
}

/* Of a rejection: all of it, or what is told of it, ending with a whole character. */
static size_t shown_size(const char *text, size_t size)
{
    if (size <= REJECTION_SIZE_MAX)
        return size;
    size_t shown = REJECTION_SIZE_MAX;
    while (shown > REJECTION_SIZE_MAX - 3 && (text[shown] & 0xc0) == 0x80)
        shown--;
    return shown;
}

void stdb_reject(stdb_vm *abi, const char *text, uint32_t size)
{
    struct vm *vm = vm_of(abi);
    diag_put(&vm->rejection, ERR_REJECTED, clean_text(vm, text, shown_size(text, size)));
}
