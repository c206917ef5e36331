#include "core/id.h"

#include <fmt/format.h>

namespace vigie {

EntityId make_entity(std::string_view kind, std::string_view name) {
    return {fmt::format("{}:{}", kind, name)};
}

std::string_view entity_kind(const EntityId& entity) {
    const std::string_view text = entity.value;
    const auto colon = text.find(':');
    return colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
}

std::string_view entity_name(const EntityId& entity) {
    const std::string_view text = entity.value;
    const auto colon = text.find(':');
    return colon == std::string_view::npos ? text : text.substr(colon + 1);
}

std::uint64_t fnv1a64(std::string_view bytes) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return hash;
}

std::string stable_id(std::string_view prefix, std::string_view content) {
    // FNV's low bits mix best; 48 of them keep ids short enough to type.
    return fmt::format("{}{:012x}", prefix, fnv1a64(content) & 0xffff'ffff'ffffULL);
}

}  // namespace vigie
