#include "core/id.h"

#include <fmt/format.h>

namespace vigie {

namespace {

constexpr std::uint64_t kFnvOffset = 14695981039346656037ULL;

std::uint64_t fnv1a64_from(std::uint64_t hash, std::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return hash;
}

}  // namespace

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
    return fnv1a64_from(kFnvOffset, bytes);
}

std::string stable_id(std::string_view prefix, std::string_view content) {
    // FNV's low bits mix best; 48 of them keep ids short enough to type.
    return fmt::format("{}{:012x}", prefix, fnv1a64(content) & 0xffff'ffff'ffffULL);
}

EventId stable_event_id(std::string_view prefix, std::string_view content) {
    // Two hashes from different starts; the second is mixed so that they do not move together.
    const std::uint64_t first = fnv1a64(content);
    std::uint64_t second = fnv1a64_from(0x9e3779b97f4a7c15ULL, content);
    second = (second ^ (second >> 31U)) * 0x94d049bb133111ebULL;
    return {fmt::format("{}{:016x}{:016x}", prefix, first, second ^ (second >> 29U))};
}

}  // namespace vigie
