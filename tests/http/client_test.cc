#include "http/client.h"

#include <catch2/catch.hpp>

#include "tests/http/fixture.h"
#include "tests/http/raw_client.h"

namespace vigie::http::test {

TEST_CASE("client: sends a request and reads the answer", "[http]") {
    Site site;
    site.router.add("POST", "/a b", [](Request request, Respond respond) {
        auto response = Response::json(201, request.body + request.header("x-one").data());
        response.headers.emplace_back("X-Two", "2");
        respond(std::move(response));
    });
    site.start();
    const auto answer = send(
        {.method = "POST", .url = site.url("/a%20b"), .headers = {{"X-One", "1"}}, .body = "body"},
        fast_client());
    REQUIRE(answer.has_value());
    CHECK(answer->status == 201);
    CHECK(answer->body == "body1");
    CHECK(answer->header("x-two") == "2");
    CHECK(answer->header("content-type") == "application/json");
}

}  // namespace vigie::http::test
