#include "schemas/host_port.h"

namespace vigie::schemas::detail {

namespace {

bool is_port(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string_view without_port(std::string_view instance) {
    if (instance.starts_with('[')) {
        const auto end = instance.find(']');
        return end == std::string_view::npos ? instance : instance.substr(1, end - 1);
    }
    const auto colon = instance.rfind(':');
    if (colon == std::string_view::npos || instance.find(':') != colon ||
        !is_port(instance.substr(colon + 1))) {
        return instance;
    }
    return instance.substr(0, colon);
}

}  // namespace vigie::schemas::detail
