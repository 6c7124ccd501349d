// Marks what libdynbatch exports; everything else has hidden visibility.
#pragma once

#define DYNBATCH_EXPORT __attribute__((visibility("default")))
