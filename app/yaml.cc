#include "app/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace vigie::app {

namespace {

constexpr int kDepthMax = 32;
constexpr int kNodesMax = 100'000;  // Also bounds what aliases can multiply.

Error at(const YAML::Mark& mark, std::string_view what) {
    return {ErrorKind::kInvalid,
            fmt::format("line {}, column {}: {}", mark.line + 1, mark.column + 1, what)};
}

Result<YamlNode> convert(const YAML::Node& source, int depth, int& nodes);

Status convert_map(const YAML::Node& source, YamlNode& node, int depth, int& nodes) {
    node.kind = YamlNode::Kind::kMap;
    for (const auto& entry : source) {
        const YAML::Mark mark = entry.first.Mark();
        if (!entry.first.IsScalar()) return fail(at(mark, "a key must be a word"));
        const std::string& key = entry.first.Scalar();
        if (node.find(key) != nullptr) {
            return fail(at(mark, fmt::format("'{}' is given twice", key)));
        }
        VIGIE_TRY_ASSIGN(YamlNode value, convert(entry.second, depth + 1, nodes));
        value.line = mark.line + 1;
        value.column = mark.column + 1;
        node.entries.emplace_back(key, std::move(value));
    }
    return {};
}

Result<YamlNode> convert(const YAML::Node& source, int depth, int& nodes) {
    if (++nodes > kNodesMax) return fail(at(source.Mark(), "the document is too large"));
    if (depth > kDepthMax) return fail(at(source.Mark(), "nested too deeply"));
    YamlNode node;
    node.line = source.Mark().line + 1;
    node.column = source.Mark().column + 1;
    if (source.IsScalar()) {
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
    try {
        int nodes = 0;
        return convert(YAML::Load(text), 0, nodes);
    } catch (const YAML::Exception& error) {
        return fail(at(error.mark, error.msg));
    }
}

}  // namespace vigie::app
