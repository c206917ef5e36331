#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>
#include <vector>

#include "schemas/names.h"

// How event values become JSON and back. A type says its fields once, in describe(io, value);
// `io` is a Writer (schemas/writer.h) or a Reader (schemas/reader.h). Only for schemas/*.cc.
namespace vigie::schemas::detail {

// A value of type T, const when it is written.
template <class U, class T>
concept Of = std::same_as<std::remove_const_t<U>, T>;

template <class T>
inline constexpr bool kIsList = false;
template <class T>
inline constexpr bool kIsList<std::vector<T>> = true;
template <>
inline constexpr bool kIsList<Labels> = false;

}  // namespace vigie::schemas::detail
