#include "app/yaml.h"

#include <algorithm>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "core/redact.h"
#include "core/utf8.h"

namespace vigie::app {

namespace {

constexpr int kDepthMax = 32;
constexpr std::size_t kReasonBytesMax = 200;  // The library repeats what it does not understand.
constexpr int kNodesMax = 100'000;            // Also bounds what aliases can multiply.

// The library counts from 0, and says -1 of what is nowhere: of an empty document.
int counted(int place) {
    return std::max(place, 0) + 1;
}

Error at(const YAML::Mark& mark, std::string_view what) {
    return {ErrorKind::kInvalid,
            fmt::format("line {}, column {}: {}", counted(mark.line), counted(mark.column),
                        one_line(what, kReasonBytesMax))};
}

// The library looks for the rest of an escape behind the end, and counts what is not there.
YAML::Mark inside(const std::string& text, YAML::Mark mark) {
    std::size_t start = 0;
    for (int line = 0; line < mark.line; ++line) {
        start = std::min(text.find('\n', start), text.size() - 1) + 1;
    }
    const std::size_t end = std::min(text.find('\n', start), text.size());
    mark.column = std::min(mark.column, static_cast<int>(end - start));
    return mark;
}

// The library takes any bytes, and UTF-16. What is read here is told to people, sent as JSON and
// used as names.
Status check_bytes(const std::string& text) {
    YAML::Mark mark;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = utf8_character_size(text, i);
        if (size == 0 || text[i] == '\0') return fail(at(mark, "this is not text in UTF-8"));
        const bool line_ends = text[i] == '\n';
        mark.line += line_ends ? 1 : 0;
        mark.column = line_ends ? 0 : mark.column + 1;
        i += size;
    }
    return {};
}

// An escape can still make a NUL, and of two of them the library makes bytes instead of characters.
Status check_scalar(const YAML::Node& node) {
    if (node.Scalar().contains('\0')) {
        return fail(at(node.Mark(), "a value cannot hold a NUL"));
    }
    if (!is_utf8(node.Scalar())) {
        return fail(at(node.Mark(), "the escapes \\N and \\_ are not known: use \\u0085, \\u00a0"));
    }
    return {};
}

Result<YamlNode> convert(const YAML::Node& source, int depth, int& nodes);

Status convert_map(const YAML::Node& source, YamlNode& node, int depth, int& nodes) {
    node.kind = YamlNode::Kind::kMap;
    for (const auto& entry : source) {
        const YAML::Mark mark = entry.first.Mark();
        if (!entry.first.IsScalar()) return fail(at(mark, "a key must be a word"));
        VIGIE_TRY(check_scalar(entry.first));
        const std::string& key = entry.first.Scalar();
        if (node.find(key) != nullptr) {
            return fail(at(mark, fmt::format("'{}' is given twice", one_line(key, 100))));
        }
        VIGIE_TRY_ASSIGN(YamlNode value, convert(entry.second, depth + 1, nodes));
        value.line = counted(mark.line);
        value.column = counted(mark.column);
        node.entries.emplace_back(key, std::move(value));
    }
    return {};
}

Result<YamlNode> convert(const YAML::Node& source, int depth, int& nodes) {
    if (++nodes > kNodesMax) return fail(at(source.Mark(), "the document is too large"));
    if (depth > kDepthMax) return fail(at(source.Mark(), "nested too deeply"));
    YamlNode node;
    node.line = counted(source.Mark().line);
    node.column = counted(source.Mark().column);
    if (source.IsScalar()) {
        VIGIE_TRY(check_scalar(source));
        node.kind = YamlNode::Kind::kScalar;
        node.scalar = source.Scalar();
    } else if (source.IsSequence()) {
        node.kind = YamlNode::Kind::kSequence;
        for (const auto& item : source) {
            VIGIE_TRY_ASSIGN(YamlNode value, convert(item, depth + 1, nodes));
            node.items.push_back(std::move(value));
        }
    } else if (source.IsMap()) {
        VIGIE_TRY(convert_map(source, node, depth, nodes));
    }
    return node;
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
    for (const auto& [name, value] : entries) {
        if (name == key) return &value;
    }
    return nullptr;
}

Result<YamlNode> parse_yaml(const std::string& text) {
    VIGIE_TRY(check_bytes(text));
    try {
        int nodes = 0;
        return convert(YAML::Load(text), 0, nodes);
    } catch (const YAML::Exception& error) {
        return fail(at(inside(text, error.mark), error.msg));
    }
}

}  // namespace vigie::app
