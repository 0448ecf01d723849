#include "host/module.h"

#include "base/clock.h"
#include "base/text.h"
#include "host/guard.h"
#include "host/vm.h"
#include "sats/bsatn.h"

#include <dlfcn.h>
#include <stdio.h>

const struct module_limits module_limits_default = {
    .call_us = 100 * 1000,
    .load_us = 5 * 1000 * 1000,
    .memory_max = 64 << 20,
};

struct module {
    struct files files;
    struct module_limits limits;
    module_log_fn *log;
    void *log_context;
    struct vm_description description;
    uint8_t hash[32];
    struct binding binding;
    struct foresight *foresight; /* owned: one a reducer, of the tables that are bound */
    struct vm *vm; /* owned; NULL: the next call makes one */
    uint64_t call_number;
};

/* Watchers want to know of files also when loading fails, and loading makes nothing then to ask. */
static __thread module_opened_fn *opened_hook;
static __thread void *opened_context;

void module_on_open(module_opened_fn *opened, void *context)
{
    opened_hook = opened;
    opened_context = context;
}

/* LuaJIT's FFI looks for the functions of host/abi.cdef among the process's symbols. A program exports them; a
 * shared library that was opened privately has to show its own. */
static void show_symbols(void)
{
    Dl_info library;
    if (dlsym(RTLD_DEFAULT, "stdb_insert") == NULL && dladdr((void *)stdb_insert, &library) != 0)
        dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

/* Puts "module.lua:12: text" and the source lines into the diag. */
static err explain(const struct files *files, const char *file, int32_t line, const char *text, err code,
                   struct diag *diag)
{
    struct buf whole;
    buf_init(&whole);
    report_print_place(&whole, file, line);
    buf_put_text(&whole, text);
    report_print_source(&whole, files, file, line);
    diag_set(diag, code, "%.*s", (int)whole.size, (const char *)whole.data);
    buf_deinit(&whole);
    return code;
}

static void amount_print(char out[40], const struct module_limits *limits, err code, int64_t time_us)
{
    if (code == ERR_OUT_OF_MEMORY)
        snprintf(out, 40, "%llu MiB", (unsigned long long)(limits->memory_max >> 20));
    else if (time_us < 1000000)
        snprintf(out, 40, "%lld ms", (long long)time_us / 1000);
    else
        snprintf(out, 40, "%g s", (double)time_us / 1e6);
}

static err explain_load(const struct module *module, const struct report *report, err code, struct diag *diag)
{
    char amount[40], text[sizeof report->message + 100];
    amount_print(amount, &module->limits, code, module->limits.load_us);
    if (code == ERR_OUT_OF_TIME)
        snprintf(text, sizeof text, "loading was stopped after %s: is this an endless loop?", amount);
    else if (code == ERR_OUT_OF_MEMORY)
        snprintf(text, sizeof text, "loading needs more than the %s of memory a module may have", amount);
    else if (code == ERR_REJECTED)
        snprintf(text, sizeof text, "there is no call to refuse while the module loads");
    else
        snprintf(text, sizeof text, "%s", report->message);
    const char *file = report->file[0] != '\0' ? report->file : module->files.entry;
    return explain(&module->files, file, report->line, text, code == ERR_REJECTED ? ERR_MODULE : code, diag);
}

static err load(struct module *module, struct diag *diag)
{
    struct report report;
    TRY(guard_start(diag));
    module->files.opening = opened_hook;
    module->files.context = opened_context;
    const struct file *entry;
    if (files_get(&module->files, bytes_of_text(module->files.entry), &entry, diag) != OK)
        return diag_note(diag, "%s: ", module->files.folder);
    const err code = vm_new(&module->vm, &module->files, &module->limits, module->log, module->log_context,
                            &module->description, &report);
    if (code != OK)
        return explain_load(module, &report, code, diag);
    module->files.complete = true;
    module->files.opening = NULL;
    files_hash(&module->files, module->hash);
    return OK;
}

/* Takes the files over. */
static err load_files(struct module **made, const struct files *files, const struct module_limits *limits,
                      module_log_fn *log, void *log_context, struct diag *diag)
{
    show_symbols();
    struct module *module = memory_new(sizeof *module);
    module->files = *files;
    module->limits = *limits;
    module->log = log;
    module->log_context = log_context;
    const err code = load(module, diag);
    if (code != OK) {
        module_free(module);
        module = NULL;
    }
    *made = module;
    return code;
}

err module_load(struct module **made, const char *path, const struct module_limits *limits, module_log_fn *log,
                void *log_context, struct diag *diag)
{
    struct files files;
    *made = NULL;
    const err code = files_init(&files, path, diag);
    if (code == OK)
        return load_files(made, &files, limits, log, log_context, diag);
    files_deinit(&files);
    return code;
}

err module_load_kept(struct module **made, bytes kept, uint32_t file_count, const struct module_limits *limits,
                     module_log_fn *log, void *log_context, struct diag *diag)
{
    struct files files;
    *made = NULL;
    const err code = files_init_kept(&files, kept, file_count, diag);
    if (code == OK)
        return load_files(made, &files, limits, log, log_context, diag);
    files_deinit(&files);
    return code;
}

void module_free(struct module *module)
{
    if (module == NULL)
        return;
    vm_free(module->vm);
    binding_deinit(&module->binding);
    memory_free(module->foresight);
    vm_description_deinit(&module->description);
    files_deinit(&module->files);
    memory_free(module);
}

bytes module_def(const struct module *module)
{
    return buf_bytes(&module->description.def);
}
const uint8_t *module_hash(const struct module *module)
{
    return module->hash;
}
uint32_t module_file_count(const struct module *module)
{
    return module->files.count;
}
const char *module_file_path(const struct module *module, uint32_t idx)
{
    return module->files.items[idx]->path;
}

bytes module_file_name(const struct module *module, uint32_t idx)
{
    return bytes_of_text(module->files.items[idx]->name);
}

bytes module_file_text(const struct module *module, uint32_t idx)
{
    return buf_bytes(&module->files.items[idx]->text);
}

/* Where it is declared; NULL when that is not known. */
static const struct position *find_position(const struct module *module, const char *kind, bytes name)
{
    char subject[160];
    snprintf(subject, sizeof subject, "%s %.*s", kind, BYTES_FORMAT(name));
    for (uint32_t idx = 0; idx < module->description.position_count; idx++)
        if (strcmp(module->description.positions[idx].subject, subject) == 0)
            return &module->description.positions[idx];
    return NULL;
}

/* Where it is declared; what is not declared, like a table that is gone, is missing in the module's first file. */
static struct position position_of_fault(const struct module *module, const struct schema_fault *fault)
{
    static const char *const kinds[] = { "module", "table", "reducer", "type", "view", "filter" };
    const struct position *found = find_position(module, kinds[fault->subject], bytes_of_text(fault->name));
    return found != NULL ? *found : (struct position){ .file = module->files.entry };
}

void module_explain(const struct module *module, const struct schema_fault *faults, uint32_t count, struct diag *diag)
{
    const struct position first = position_of_fault(module, &faults[0]);
    struct buf text = { 0 };
    const char *left = diag->text;
    for (uint32_t idx = 1; idx < count && strchr(left, '\n') != NULL; idx++) {
        const struct position next = position_of_fault(module, &faults[idx]);
        const size_t size = strcspn(left, "\n") + 1;
        buf_put(&text, left, size);
        report_print_place(&text, next.file, next.line);
        left += size;
    }
    buf_put(&text, left, strlen(left) + 1);
    explain(&module->files, first.file, first.line, (const char *)text.data, diag->code, diag);
    buf_deinit(&text);
}

void module_bind(struct module *module, struct store *store)
{
    binding_deinit(&module->binding);
    binding_init(&module->binding, store);
    memory_free(module->foresight);
    module->foresight = memory_new((store->schema->reducer_count + 1) * sizeof *module->foresight);
}

/* Made from the same texts, it has to say the same of itself: tables are found by their place in what the
 * first one said. */
static err vm_again(struct module *module, struct diag *diag)
{
    struct vm_description description;
    struct report report;
    struct vm *vm;
    const err code =
        vm_new(&vm, &module->files, &module->limits, module->log, module->log_context, &description, &report);
    if (code != OK)
        return explain_load(module, &report, code, diag);
    const bool same = bytes_equal(buf_bytes(&description.def), buf_bytes(&module->description.def));
    vm_description_deinit(&description);
    if (!same) {
        vm_free(vm);
        return diag_set(diag, ERR_MODULE, "the module describes itself differently when it is loaded again");
    }
    module->vm = vm;
    return OK;
}

/* The story, with the source lines, is for the log alone, as that of a failed call is. */
static err again_failed(const struct module *module, struct diag *diag)
{
    const struct module_log_line line = {
        .timestamp_us = clock_wall_us(),
        .message = bytes_of_text(diag->text),
    };
    if (module->log != NULL)
        module->log(module->log_context, &line);
    return diag_set(diag, diag->code, "The module cannot be loaded again after a call that was stopped; see its log.");
}

/* splitmix64: any seed gives four words that are not all zero. */
static void seed_random(uint64_t random[4], uint64_t seed)
{
    for (int idx = 0; idx < 4; idx++) {
        seed += 0x9e3779b97f4a7c15ull;
        uint64_t word = seed;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebull;
        random[idx] = word ^ (word >> 31);
    }
}

static void call_begin(struct module *module, struct txn *txn, bytes function, int64_t timestamp_us,
                       const identity *sender)
{
    struct vm *vm = module->vm;
    stdb_vm *abi = &vm->abi;
    abi->timestamp_us = timestamp_us;
    memcpy(abi->sender, sender->at, sizeof abi->sender);
    abi->call_number = ++module->call_number;
    abi->in_call = 1;
    vm->binding = &module->binding;
    vm->txn = txn;
    vm->function = function;
    vm->logged = 0;
    vm->rejection.text[0] = '\0';
}

/* What a reducer is given beside that. */
static void call_give(stdb_vm *abi, const struct call_context *context, bytes args)
{
    memcpy(abi->connection_id, context->connection.at, sizeof abi->connection_id);
    seed_random(abi->random, context->random_seed);
    abi->args = args.at;
    abi->args_size = (uint32_t)args.size;
}

static void call_end(struct module *module)
{
    struct vm *vm = module->vm;
    vm->abi.in_call = 0;
    vm->txn = NULL;
    vm->view = NULL;
    vm->watched = NULL;
    if (vm->scans.count > 0)
        scans_close_all(&vm->scans);
    vm_tidy(vm, module->limits.load_us);
    if (vm->is_dead) {
        vm_free(vm);
        module->vm = NULL;
    }
}

/* The module's own refusal: its words for the caller, a line for the log. */
static err call_refused(struct vm *vm, struct diag *diag)
{
    static const char before[] = "refused: ";
    char line[sizeof before + sizeof vm->rejection.text];
    const bytes words = bytes_of_text(vm->rejection.text);
    memcpy(line, before, sizeof before - 1);
    memcpy(line + sizeof before - 1, words.at, words.size);
    vm_log(vm, 2, bytes_of(NULL, 0), 0, bytes_of(line, sizeof before - 1 + words.size));
    return diag_put(diag, ERR_REJECTED, words.size > 0 ? words : bytes_of_text(err_text(ERR_REJECTED)));
}

/* The whole story, for the log: text, id, source lines, stack. A tail call leaves no line of the module's on the
 * stack, and an overflow none that can be looked at: then the line where the function is declared is shown. */
static void log_failure(struct module *module, const char *noun, const char *text, uint32_t id)
{
    const struct report *report = &module->vm->report;
    const char *file = report->file;
    int32_t line = report->line;
    const struct position *declared = line == 0 ? find_position(module, noun, module->vm->function) : NULL;
    if (declared != NULL)
        file = declared->file, line = declared->line;
    struct buf story;
    buf_init(&story);
    buf_put_format(&story, "%s (error %08x)", text, id);
    report_print_source(&story, &module->files, file, line);
    if (report->stack[0] != '\0')
        buf_put_format(&story, "\nstack:\n%.*s", (int)strlen(report->stack) - 1, report->stack);
    vm_log(module->vm, 0, bytes_of_text(file), line, buf_bytes(&story));
    buf_deinit(&story);
}

/* The caller hears little of it: what a module's code looks like is not for everyone. */
static err call_failed(struct module *module, const char *noun, err code, struct diag *diag)
{
    char amount[40], text[100];
    uint32_t id;
    random_bytes(&id, sizeof id);
    amount_print(amount, &module->limits, code, module->limits.call_us);
    if (code == ERR_OUT_OF_TIME)
        snprintf(text, sizeof text, "%s was stopped after %s", noun, amount);
    else if (code == ERR_OUT_OF_MEMORY)
        snprintf(text, sizeof text, "%s used up its %s of memory", noun, amount);
    else
        snprintf(text, sizeof text, "%s failed", noun);
    log_failure(module, noun, code == ERR_MODULE ? module->vm->report.message : text, id);
    return diag_set(diag, code, "The %s (error %08x); see the module's log.", text, id);
}

static err call_run(struct module *module, enum vm_entry entry, uint32_t place, struct diag *diag)
{
    static const char *const nouns[] = { "reducer", "view" };
    const err code = vm_dispatch(module->vm, entry, place, module->limits.call_us);
    if (code == ERR_REJECTED)
        return call_refused(module->vm, diag);
    return code == OK ? OK : call_failed(module, nouns[entry], code, diag);
}

void module_ask_entries(const struct module *module, uint32_t reducer, bytes args)
{
    foresight_ask_entries(&module->foresight[reducer], args);
}

void module_ask_rows(const struct module *module, uint32_t reducer, bytes args)
{
    foresight_ask_rows(&module->foresight[reducer], args);
}

err module_call(struct module *module, struct txn *txn, const struct call_context *context, uint32_t reducer,
                bytes args, struct diag *diag)
{
    const struct schema *schema = module->binding.schema;
    check(schema != NULL && reducer < schema->reducer_count);
    if (module->vm == NULL && vm_again(module, diag) != OK)
        return again_failed(module, diag);
    call_begin(module, txn, schema->reducers[reducer].name, context->timestamp_us, &context->sender);
    call_give(&module->vm->abi, context, args);
    if (foresight_watches(&module->foresight[reducer]))
        module->vm->watched = &module->foresight[reducer];
    const err code = call_run(module, VM_REDUCER, reducer, diag);
    call_end(module);
    return code;
}

/* A3. Our own Lua wrote them, but in the same memory as the module's. */
static err view_rows_check(const struct type *row, bytes rows, struct diag *diag)
{
    struct reader from = reader_of(rows);
    const uint32_t count = reader_get_u32(&from);
    for (uint32_t idx = 0; idx < count && !from.failed; idx++) {
        size_t used = 0;
        TRY(bsatn_check(row, bytes_of(from.at, reader_left(&from)), &used, diag));
        reader_take(&from, used);
    }
    if (from.failed || reader_left(&from) > 0)
        return diag_set(diag, ERR_BAD_VALUE, "the view's rows are not those of its type");
    return OK;
}

static err view_take(struct vm *vm, const struct view_def *view, struct buf *result, struct diag *diag)
{
    const bytes returned = bytes_of(vm->abi.row, vm->abi.row_size);
    if (view->kind != VIEW_QUERY)
        TRY(view_rows_check(view->rows.row_type, returned, diag));
    else if (!text_is_utf8(returned))
        return diag_set(diag, ERR_BAD_VALUE, "the view's query is not UTF-8");
    buf_put_bytes(result, returned);
    return OK;
}

err module_call_view(struct module *module, struct txn *txn, const struct view_call *call, struct buf *result,
                     struct diag *diag)
{
    const struct schema *schema = module->binding.schema;
    check(schema != NULL && call->view < schema->view_count);
    const struct view_def *view = &schema->views[call->view];
    if (module->vm == NULL && vm_again(module, diag) != OK)
        return again_failed(module, diag);
    call_begin(module, txn, view->rows.name, call->timestamp_us, &call->caller);
    module->vm->abi.in_call = 2;
    module->vm->view = call;
    err code = call_run(module, VM_VIEW, call->view, diag);
    if (code == OK)
        code = view_take(module->vm, view, result, diag);
    call_end(module);
    return code;
}
