#include "app/yaml.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using vigie::app::parse_yaml;
using vigie::app::YamlNode;

namespace {

std::string reason(const std::string& text) {
    const auto node = parse_yaml(text);
    return node ? "none" : node.error().message;
}

}  // namespace

TEST_CASE("yaml: an empty document is nothing, at its first character", "[app]") {
    for (const std::string text : {"", "# only a remark\n", "\n\n"}) {
        const auto node = parse_yaml(text);
        REQUIRE(node);
        CHECK(node->kind == YamlNode::Kind::kNull);
        CHECK(node->line == 1);
        CHECK(node->column == 1);
    }
}

TEST_CASE("yaml: bytes that are not UTF-8 are refused where they stand", "[app]") {
    CHECK(reason("a: 1\nb: caf\xe9\n") == "line 2, column 7: this is not text in UTF-8");
    CHECK(reason("\xff\xfe"
                 "a\0"s) == "line 1, column 1: this is not text in UTF-8");
    CHECK(reason("a: b\0c"s) == "line 1, column 5: this is not text in UTF-8");
    CHECK(reason("a: caf\xc3\xa9\n") == "none");
}

TEST_CASE("yaml: an escaped NUL ends no name early", "[app]") {
    CHECK(reason("a:\n  - \"b\\0c\"\n") == "line 2, column 5: a value cannot hold a NUL");
    CHECK(reason("\"b\\0c\": 1\n") == "line 1, column 1: a value cannot hold a NUL");
}

TEST_CASE("yaml: an escape that makes no character is refused", "[app]") {
    for (const std::string text : {R"(a: "b\Nc")", R"(a: "b\_c")"}) {
        CHECK(reason(text).starts_with("line 1, column 4: the escapes"));
    }
    CHECK(parse_yaml(R"(a: "\u00a0")")->find("a")->scalar == "\xc2\xa0");
}

TEST_CASE("yaml: a complaint about the end stands at the end", "[app]") {
    for (const std::string text : {"b: \"\\U00", "b: \"y\\", "a: 1\nb: \"\\x", "b: \"\\U\n"}) {
        INFO(text);
        const std::string said = reason(text);
        const auto column = said.find("column ") + 7;
        REQUIRE(said.starts_with("line "));
        CHECK(std::stoul(said.substr(column)) <= text.size() + 1);
    }
}

TEST_CASE("yaml: what is wrong is said on one line of bounded length", "[app]") {
    const std::string name(5000, 'x');
    for (const std::string& text :
         {"a: *" + name, "a: \"\\q\""s, name + ": 1\n" + name + ": 1\n"}) {
        INFO(text.substr(0, 20));
        CHECK(reason(text).size() < 300);
        CHECK(reason(text).find('\n') == std::string::npos);
        CHECK(reason(text).starts_with("line "));
    }
}
