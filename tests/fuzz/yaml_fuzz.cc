// YAML as people write it, and as nobody should.
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>

#include "app/yaml.h"
#include "core/utf8.h"
#include "tests/fuzz/event_checks.h"
#include "tests/fuzz/yaml_text.h"

namespace {

using namespace vigie;
using app::YamlNode;

constexpr int kDepthMax = 32;
constexpr int kNodesMax = 100'000;

void check_text(const std::string& text) {
    VIGIE_ASSERT(is_utf8(text) && !text.contains('\0'));
}

int check_tree(const YamlNode& node, std::string_view text, int depth) {
    VIGIE_ASSERT(depth <= kDepthMax);
    fuzz::check_place(text, node.line, node.column);
    VIGIE_ASSERT(node.items.empty() || node.kind == YamlNode::Kind::kSequence);
    VIGIE_ASSERT(node.entries.empty() || node.kind == YamlNode::Kind::kMap);
    check_text(node.scalar);
    int nodes = 1;
    for (const auto& item : node.items) nodes += check_tree(item, text, depth + 1);
    std::set<std::string> keys;
    for (const auto& [key, value] : node.entries) {
        VIGIE_ASSERT(keys.insert(key).second);
        check_text(key);
        nodes += check_tree(value, text, depth + 1);
    }
    return nodes;
}

bool equal(const YamlNode& a, const YamlNode& b) {
    if (a.kind != b.kind || a.scalar != b.scalar || a.items.size() != b.items.size() ||
        a.entries.size() != b.entries.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!equal(a.items[i], b.items[i])) return false;
    }
    for (std::size_t i = 0; i < a.entries.size(); ++i) {
        if (a.entries[i].key != b.entries[i].key) return false;
        if (!equal(a.entries[i].value, b.entries[i].value)) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto root = app::parse_yaml(text);
    if (!root) {
        VIGIE_ASSERT(root.error().kind == ErrorKind::kInvalid);
        const std::string& message = root.error().message;
        fuzz::check_reason(message);
        int line = 0;
        int column = 0;
        int end = 0;
        const int found =
            std::sscanf(message.c_str(), "line %d, column %d: %n", &line, &column, &end);
        VIGIE_ASSERT(found == 2 && end > 0 && message.size() > static_cast<std::size_t>(end));
        fuzz::check_place(text, line, column);
        return 0;
    }
    VIGIE_ASSERT(check_tree(*root, text, 0) <= kNodesMax);
    const auto again = app::parse_yaml(fuzz::written(*root));
    VIGIE_ASSERT(again && equal(*again, *root));
    return 0;
}
