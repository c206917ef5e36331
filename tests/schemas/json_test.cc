#include "schemas/json.h"

#include <catch2/catch.hpp>

namespace {

using vigie::ErrorKind;
using namespace vigie::schemas;

std::string refusal_of(const std::string& text) {
    const auto result = parse_json(text);
    REQUIRE(!result);
    CHECK(result.error().kind == ErrorKind::kInvalid);
    return result.error().message;
}

Json json(const char* text) {
    const auto parsed = parse_json(text);
    REQUIRE(parsed);
    return *parsed;
}

std::string broken_rule(const char* value, const char* schema) {
    const auto status = validate(json(value), json(schema));
    return status ? "" : status.error().message;
}

}  // namespace

TEST_CASE("json: all kinds of values are read and written back, keys sorted", "[schemas]") {
    CHECK(dump_json(json(R"( {"b": [1, -2, 2.5, true, false, null, "x\u00e9\n"], "a": {}} )")) ==
          "{\"a\":{},\"b\":[1,-2,2.5,true,false,null,\"xé\\n\"]}");
    CHECK(dump_json(json("7")) == "7");
    CHECK(dump_json(json("18446744073709551615")) == "18446744073709551615");
    CHECK(dump_json(json(R"({"a":1,"a":{"c":2},"a":[3]})")) == R"({"a":[3]})");
    CHECK(dump_json_pretty(json(R"({"a":[1]})")) == "{\n  \"a\": [\n    1\n  ]\n}");
}

TEST_CASE("json: what is not JSON is refused with the byte", "[schemas]") {
    CHECK_THAT(refusal_of(""), Catch::StartsWith("not JSON at byte 1: syntax error"));
    CHECK_THAT(refusal_of("{\"a\":1,}"), Catch::StartsWith("not JSON at byte 8: syntax error"));
    CHECK_THAT(refusal_of("[1] x"), Catch::StartsWith("not JSON at byte 5: syntax error"));
    CHECK_THAT(refusal_of("[1e999]"), Catch::StartsWith("not JSON at byte 6: number overflow"));
    for (const auto* text : {"nul", "'a'", "{a:1}", "[1,]", "01", "+1", "NaN", "\"\t\"", "\"\\x\"",
                             "\"\\ud800\"", "[", "]", "\"a"}) {
        INFO(text);
        refusal_of(text);
    }
}

TEST_CASE("json: invalid UTF-8 is refused, and not repeated in the message", "[schemas]") {
    for (const std::string bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"}) {
        const auto message = refusal_of("[\"secret" + bad + "\"]");
        CHECK_THAT(message, Catch::StartsWith("not JSON at byte "));
        CHECK_THAT(message, !Catch::Contains("secret"));
        CHECK_THAT(message, !Catch::Contains(bad));
    }
    CHECK(json("[\"\xf0\x9f\x9a\xa8\"]")[0] == "\xf0\x9f\x9a\xa8");
}

TEST_CASE("json: 64 levels are read, 65 are refused with the byte", "[schemas]") {
    const auto nested = [](std::size_t levels) {
        return std::string(levels, '[') + std::string(levels, ']');
    };
    CHECK(parse_json(nested(64)));
    CHECK_THAT(refusal_of(nested(65)), Catch::Contains("at byte 65: nested deeper than 64"));
    CHECK_THAT(refusal_of("[\"[[\\\"[\", " + nested(64) + "]"),
               Catch::Contains("at byte 74: nested deeper than 64"));
    CHECK(!parse_json(std::string(1'000'000, '[')));
    CHECK(!parse_json(std::string(1'000'000, '{')));
    std::string objects;
    for (int i = 0; i < 65; ++i) objects += "{\"a\":";
    CHECK_THAT(refusal_of(objects), Catch::Contains("nested deeper than 64"));
}

TEST_CASE("json: writing never fails, invalid UTF-8 is replaced", "[schemas]") {
    CHECK(dump_json(Json("a\xff")) == "\"a\xEF\xBF\xBD\"");
    Json object;
    object["k\xc3"] = 1;
    CHECK(dump_json(object) == "{\"k\xEF\xBF\xBD\":1}");
}

TEST_CASE("json: a pointer finds what is there and nothing else", "[schemas]") {
    const Json value =
        json(R"({"a": {"b": [10, {"c": "x"}]}, "m~/n": 1, "": 2, "big": 9007199254740993,
                                "huge": 18446744073709551615, "whole": 3.0, "half": 3.5, "yes": true})");
    CHECK(string_at(value, "/a/b/1/c") == "x");
    CHECK(integer_at(value, "/a/b/0") == 10);
    CHECK(integer_at(value, "/m~0~1n") == 1);
    CHECK(integer_at(value, "/") == 2);
    CHECK(find(value, "") == &value);
    CHECK(bool_at(value, "/yes") == true);
    CHECK(integer_at(value, "/big") == 9007199254740993);
    CHECK(integer_at(value, "/whole") == 3);
    CHECK(number_at(value, "/half") == 3.5);
    CHECK(number_at(value, "/a/b/0") == 10.0);
    for (const auto* pointer : {"a", "/a/c", "/a/b/2", "/a/b/01", "/a/b/-", "/a/b/-1", "/a/b/1x",
                                "/m~2", "/m~", "/a/b/1/c/d", "/a/b/99999999999999999999"}) {
        INFO(pointer);
        CHECK(find(value, pointer) == nullptr);
    }
    CHECK(!integer_at(value, "/huge"));
    CHECK(!integer_at(value, "/half"));
    CHECK(!integer_at(value, "/yes"));
    CHECK(!string_at(value, "/a"));
    CHECK(!number_at(value, "/a/b/1/c"));
    CHECK(!bool_at(value, "/big"));
}

TEST_CASE("validate: each keyword accepts and refuses on both sides of its bound", "[schemas]") {
    CHECK(broken_rule("1", R"({"type": "number"})").empty());
    CHECK(broken_rule("1.0", R"({"type": "integer"})").empty());
    CHECK(broken_rule("1.5", R"({"type": "integer"})") == "/: not of type \"integer\"");
    CHECK(broken_rule("null", R"({"type": ["string", "null"]})").empty());
    CHECK(broken_rule("1", R"({"type": ["string", "null"]})") ==
          "/: not of type [\"string\",\"null\"]");
    CHECK(broken_rule("\"b\"", R"({"enum": ["a", "b"]})").empty());
    CHECK(broken_rule("\"c\"", R"({"enum": ["a", "b"]})") == "/: not one of the allowed values");
    CHECK(broken_rule("2", R"({"const": 1})") == "/: must be 1");
    CHECK(broken_rule("3", R"({"minimum": 3, "maximum": 3})").empty());
    CHECK(broken_rule("2.9", R"({"minimum": 3})") == "/: less than 3");
    CHECK(broken_rule("-1", R"({"minimum": 0})") == "/: less than 0");
    CHECK(broken_rule("18446744073709551615", R"({"minimum": -1})").empty());
    CHECK(broken_rule("4", R"({"maximum": 3})") == "/: more than 3");
    CHECK(broken_rule("\"éé\"", R"({"minLength": 2, "maxLength": 2})").empty());
    CHECK(broken_rule("\"é\"", R"({"minLength": 2})") == "/: shorter than 2 characters");
    CHECK(broken_rule("\"ééé\"", R"({"maxLength": 2})") == "/: longer than 2 characters");
    CHECK(broken_rule("\"ab\"", R"({"pattern": "^a", "maxLength": 9})").empty());
    CHECK(broken_rule("\"ba\"", R"({"pattern": "^a", "maxLength": 9})") == "/: does not match ^a");
    CHECK(broken_rule("[1]", R"({"minItems": 1, "maxItems": 1})").empty());
    CHECK(broken_rule("[]", R"({"minItems": 1})") == "/: fewer than 1 items");
    CHECK(broken_rule("[1,2]", R"({"maxItems": 1})") == "/: more than 1 items");
    CHECK(broken_rule("[1,\"x\"]", R"({"items": {"type": "number"}})") ==
          "/1: not of type \"number\"");
    CHECK(broken_rule("{}", R"({"required": ["a"]})") == "/: \"a\" is missing");
    CHECK(broken_rule(R"({"a/b": 1})", R"({"properties": {"a/b": {"type": "string"}}})") ==
          "/a~1b: not of type \"string\"");
    CHECK(broken_rule(R"({"a": 1, "b": 2})",
                      R"({"properties": {"a": true}, "additionalProperties": false})") ==
          "/b: not allowed here");
    CHECK(broken_rule(R"({"a": 1})", R"({"additionalProperties": {"type": "string"}})") ==
          "/a: not of type \"string\"");
}

TEST_CASE("validate: references lead to definitions, also to themselves", "[schemas]") {
    const auto* schema =
        R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object",
            "properties": {"left": {"$ref": "#/$defs/tree"}}}}})";
    CHECK(broken_rule(R"({"left": {"left": {}}})", schema).empty());
    CHECK(broken_rule(R"({"left": {"left": 1}})", schema) == "/left/left: not of type \"object\"");
}

TEST_CASE("validate: the place starts where the caller says", "[schemas]") {
    const auto status =
        validate(json("{\"a\":1}"), json(R"({"properties":{"a":{"const":2}}})"), "/data");
    REQUIRE(!status);
    CHECK(status.error().message == "/data/a: must be 2");
}
