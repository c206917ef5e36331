#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace vigie::app {

// A YAML document with the place of everything in it, so that every complaint can say where.
struct YamlNode {
    enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };
    struct Entry;

    Kind kind = Kind::kNull;
    std::string scalar;
    std::vector<YamlNode> items;  // kSequence
    std::vector<Entry> entries;   // kMap, in file order
    int line = 1;                 // Of a map's entry: where its key stands.
    int column = 1;

    // nullptr when there is no such key.
    const YamlNode* find(std::string_view key) const;
};

struct YamlNode::Entry {
    std::string key;
    YamlNode value;
};

// kInvalid, with line and column, for what is not YAML, not UTF-8 or has a NUL in a value, for a
// key given twice or that is not a plain word, for nesting deeper than 32 levels and for more than
// 100,000 nodes. An empty document is kNull.
Result<YamlNode> parse_yaml(const std::string& text);

}  // namespace vigie::app
