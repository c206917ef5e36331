#include "core/result.h"

#include <cstdio>
#include <cstdlib>

namespace vigie {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::kInvalid: return "invalid";
        case ErrorKind::kNotFound: return "not_found";
        case ErrorKind::kConflict: return "conflict";
        case ErrorKind::kUnavailable: return "unavailable";
        case ErrorKind::kOverloaded: return "overloaded";
        case ErrorKind::kRefused: return "refused";
        case ErrorKind::kCancelled: return "cancelled";
        case ErrorKind::kCorrupt: return "corrupt";
    }
    return "unknown";
}

namespace detail {
void die(const char* what, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
    std::abort();
}
}  // namespace detail

}  // namespace vigie
