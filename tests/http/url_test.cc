#include "http/url.h"

#include <catch2/catch.hpp>

#include "http/client.h"

namespace vigie::http {

TEST_CASE("url: scheme, host, port and target are taken apart", "[http]") {
    const auto plain = parse_url("http://127.0.0.1:9099/api?x=1#top");
    REQUIRE(plain.has_value());
    CHECK_FALSE(plain->tls);
    CHECK(plain->host == "127.0.0.1");
    CHECK(plain->port == "9099");
    CHECK(plain->target == "/api?x=1");

    const auto tls = parse_url("https://pve.example.org");
    REQUIRE(tls.has_value());
    CHECK(tls->tls);
    CHECK(tls->port == "443");
    CHECK(tls->target == "/");

    const auto v6 = parse_url("http://[::1]?q");
    REQUIRE(v6.has_value());
    CHECK(v6->host == "::1");
    CHECK(v6->port == "80");
    CHECK(v6->target == "/?q");
}

TEST_CASE("url: what is not plainly http or https with a host is invalid", "[http]") {
    for (const std::string text : {"",
                                   "http://",
                                   "https:///x",
                                   "ftp://host/",
                                   "host/path",
                                   "http:/host",
                                   "//host",
                                   "http://user@host/",
                                   "http://user:secret@host/",
                                   "http://host:0/",
                                   "http://host:65536/",
                                   "http://host:/",
                                   "http://host:80x/",
                                   "http://host:-1/",
                                   "http://ho st/",
                                   "http://host/a b",
                                   "http://host/\r\nX: y",
                                   "http://[::1",
                                   "http://[::1]x/",
                                   "http://[]/",
                                   "http://[zz]/",
                                   "http://h\xc3\xb6st/",
                                   "http://host/\x7f",
                                   "http://a:b:c/"}) {
        INFO(text);
        const auto url = parse_url(text);
        REQUIRE_FALSE(url.has_value());
        CHECK(url.error().kind == ErrorKind::kInvalid);
        CHECK(url.error().message.find("secret") == std::string::npos);
    }
}

TEST_CASE("url: encoding leaves only unreserved characters as they are", "[http]") {
    CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
    CHECK(percent_encode("a b/c?d=\xc3\xa9%") == "a%20b%2Fc%3Fd%3D%C3%A9%25");
}

TEST_CASE("url: decoding undoes encoding for every byte but NUL", "[http]") {
    std::string all;
    for (int c = 1; c < 256; ++c) all.push_back(static_cast<char>(c));
    CHECK(percent_decode(percent_encode(all)) == all);
}

TEST_CASE("url: broken or dangerous encoding is not decoded", "[http]") {
    for (const std::string text : {"%", "a%2", "%g0", "%0g", "%%20", "%-1", "%00", "a%00b"}) {
        INFO(text);
        CHECK_FALSE(percent_decode(text).has_value());
    }
    CHECK(percent_decode("%252e") == "%2e");  // Once, not twice.
}

TEST_CASE("url: a request target gives path and query in order", "[http]") {
    const auto target = parse_target("/a%20b/c?x=1&y=%26+z&x=2&&flag&=v");
    REQUIRE(target.has_value());
    CHECK(target->path == "/a b/c");
    const std::vector<std::pair<std::string, std::string>> query = {
        {"x", "1"}, {"y", "& z"}, {"x", "2"}, {"flag", ""}, {"", "v"}};
    CHECK(target->query == query);
    CHECK(target->raw == "/a%20b/c?x=1&y=%26+z&x=2&&flag&=v");
    CHECK(parse_target("/a+b")->path == "/a+b");  // Only in the query is "+" a blank.
}

TEST_CASE("url: the absolute form and the asterisk are understood", "[http]") {
    CHECK(parse_target("http://host:80/x?y=1")->path == "/x");
    CHECK(parse_target("https://host")->path == "/");
    CHECK(parse_target("*")->path == "*");
}

TEST_CASE("url: targets that are not a path are refused", "[http]") {
    for (const std::string text : {"", "x", "http:///x", "host:443", "/a#b", "/a\x01", "/%0",
                                   "/?%0", "/?a=%zz", "/%00", "http://host?x"}) {
        INFO(text);
        CHECK_FALSE(parse_target(text).has_value());
    }
}

}  // namespace vigie::http
