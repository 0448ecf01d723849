/* abi — host/abi.cdef for the C compiler. */
#pragma once

#include <stdint.h>
#include "host/abi.cdef"
