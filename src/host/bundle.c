#include "host/bundle.h"

bytes bundle_find(const char *name)
{
    for (uint32_t idx = 0; idx < bundle_file_count; idx++) {
        if (strcmp(bundle_files[idx].name, name) == 0)
            return bundle_files[idx].content;
    }
    return bytes_of(NULL, 0);
}
