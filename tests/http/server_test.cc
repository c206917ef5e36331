#include "http/server.h"

#include <catch2/catch.hpp>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

Site& with_echo(Site& site, Server::Options options = {}) {
    site.router.add("GET", "/x", echo);
    site.router.add("POST", "/x", echo);
    site.start(std::move(options));
    return site;
}

}  // namespace

TEST_CASE("server: answers requests one after the other on one connection", "[http]") {
    Site site;
    RawClient client(with_echo(site).server->port());
    for (int i = 0; i < 3; ++i) {
        REQUIRE(client.send(kGet));
        const auto answer = client.read_response();
        CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(answer.ends_with("\r\n\r\nGET /x "));
    }
    CHECK(site.metric(R"(vigie_http_connections{server="test"})") == 1);
    CHECK(site.metric(R"(vigie_http_requests_total{code="2xx",server="test"})") == 3);
}

}  // namespace vigie::http::test
