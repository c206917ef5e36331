#include "app/section.h"

#include <filesystem>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using vigie::app::Complaints;
using vigie::app::parse_yaml;
using vigie::app::Section;
using vigie::app::YamlNode;

namespace {

YamlNode yaml(const std::string& text) {
    auto node = parse_yaml(text);
    REQUIRE(node);
    return *std::move(node);
}

}  // namespace

TEST_CASE("section: values are read by type, and missing ones have their default", "[app]") {
    const YamlNode node = yaml("name: shop\nwait: 1m30s\nsize: 2MiB\nratio: 0.5\non: true\n");
    Complaints complaints("v.yaml");
    {
        Section section(&node, "", complaints);
        CHECK(section.text("name") == "shop");
        CHECK(section.duration("wait", 0ms, 0ms) == 90s);
        CHECK(section.bytes("size", 0) == 2 << 20);
        CHECK(section.number("ratio", 0, 0, 1) == 0.5);
        CHECK(section.boolean("on", false));
        CHECK(section.integer("absent", 7, 0, 10) == 7);
    }
    CHECK(complaints.all().empty());
}

TEST_CASE("section: an unknown option is refused with its line and what is known", "[app]") {
    const YamlNode node = yaml("name: shop\nagent:\n  modus: shadow\n");
    Complaints complaints("v.yaml");
    {
        Section section(&node, "", complaints);
        section.text("name");
        section.child("agent", [](Section& agent) { agent.text("mode"); });
    }
    REQUIRE(complaints.all().size() == 1);
    CHECK(complaints.all()[0] == "v.yaml:3:3: agent.modus: unknown option; known here: mode");
}

TEST_CASE("section: everything wrong is said at once", "[app]") {
    const YamlNode node = yaml("wait: soon\nratio: 2\non: perhaps\nport: [1]\n");
    Complaints complaints("v.yaml");
    {
        Section section(&node, "", complaints);
        CHECK(section.duration("wait", 5s, 0ms) == 5s);
        CHECK(section.number("ratio", 0.25, 0, 1) == 0.25);
        CHECK(section.boolean("on", true));
        CHECK(section.integer("port", 1, 0, 9) == 1);
    }
    REQUIRE(complaints.all().size() == 4);
    CHECK(complaints.all()[1] == "v.yaml:2:1: ratio: must be a number between 0 and 1");
}

TEST_CASE("section: a secret comes from the value or its file, not from both", "[app]") {
    const auto file = std::filesystem::temp_directory_path() / "vigie_section_test_secret";
    REQUIRE(vigie::app::write_file(file.string(), "s3cret\n"));
    const YamlNode node =
        yaml("token_file: " + file.string() + "\nkey: a\nkey_file: " + file.string() +
             "\nlost_file: /nowhere/at/all\n");
    Complaints complaints("v.yaml");
    {
        Section section(&node, "", complaints);
        CHECK(section.secret("token") == "s3cret");
        section.secret("key");
        CHECK(section.secret("lost").empty());
    }
    REQUIRE(complaints.all().size() == 2);
    CHECK(complaints.all()[0] == "v.yaml:3:1: key_file: give key or key_file, not both");
    CHECK(complaints.all()[1].find("/nowhere/at/all") != std::string::npos);
    std::filesystem::remove(file);
}

TEST_CASE("yaml: broken text, double keys and deep nesting are refused with their place", "[app]") {
    CHECK(parse_yaml("a: [1, 2").error().message.starts_with("line "));
    CHECK(parse_yaml("a: 1\na: 2\n").error().message == "line 2, column 1: 'a' is given twice");
    CHECK(!parse_yaml(std::string(200, '[') + std::string(200, ']')));
    CHECK(parse_yaml("")->kind == YamlNode::Kind::kNull);
}

TEST_CASE("yaml: aliases cannot make a small file large", "[app]") {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) text += (j ? ", *a" : "*a") + std::to_string(i - 1);
        text += "]\n";
    }
    const auto node = parse_yaml(text);
    REQUIRE(!node);
    CHECK(node.error().message.find("too large") != std::string::npos);
}
