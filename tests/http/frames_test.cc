#include "http/frames.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace vigie::http {
namespace {

std::vector<std::string> split(std::string_view text, std::size_t at_once, std::size_t max = 20) {
    FrameSplitter splitter(max);
    std::vector<std::string> frames;
    for (std::size_t i = 0; i < text.size(); i += at_once) {
        splitter.add(text.substr(i, at_once));
        while (auto frame = splitter.next()) frames.push_back(*frame);
    }
    if (auto frame = splitter.rest()) frames.push_back(*frame);
    return frames;
}

}  // namespace

TEST_CASE("frames: counted and line-ended messages, however they are cut into packets", "[http]") {
    for (const std::size_t at_once : {1U, 2U, 3U, 7U, 100U}) {
        INFO(at_once);
        CHECK(split("5 hello3 a\nb<1>x\n<2>y\r\n\n<3>last", at_once) ==
              std::vector<std::string>{"hello", "a\nb", "<1>x", "<2>y\r", "<3>last"});
        CHECK(split("5 hello\n4 more\n", at_once) == std::vector<std::string>{"hello", "more"});
        // What is no count is text.
        CHECK(split("05 x\n12x\n9999999999 y\n", at_once) ==
              std::vector<std::string>{"05 x", "12x", "9999999999 y"});
    }
}

TEST_CASE("frames: what is too long is cut, and the next one is whole", "[http]") {
    const std::string many(50, 'x');
    for (const std::size_t at_once : {1U, 9U, 200U}) {
        INFO(at_once);
        const auto counted = split("50 " + many + "3 abc", at_once, 10);
        CHECK(counted == std::vector<std::string>{std::string(10, 'x'), "abc"});
        const auto line = split(many + "\n<1>y\n", at_once, 10);
        REQUIRE(line.size() == 2);
        CHECK(line[0].starts_with("xxxxxxxxxx"));
        CHECK(line[0].size() == 10);
        CHECK(line[1] == "<1>y");
    }
}

}  // namespace vigie::http
