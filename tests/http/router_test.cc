#include "http/router.h"

#include <catch2/catch.hpp>

namespace vigie::http {
namespace {

// Answers the route's name and what its parameters matched.
Handler tell(std::string name) {
    return [name = std::move(name)](Request request, Respond respond) {
        auto body = name;
        for (const auto& part : request.path_parts) body += "," + part;
        respond(Response::text(200, body));
    };
}

Router make_router() {
    Router router;
    router.add("GET", "/", tell("root"));
    router.add("GET", "/api/v1/incidents", tell("list"));
    router.add("GET", "/api/v1/incidents/{id}", tell("one"));
    router.add("POST", "/api/v1/incidents/{id}/steps/{step}", tell("step"));
    router.add("GET", "/api/{what}/status", tell("any status"));
    router.add("POST", "/api/v1/status", tell("v1 status"));
    return router;
}

Response ask(const Router& router, std::string method, std::string path, std::string target = "") {
    Response answer;
    answer.status = 0;
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.target = std::move(target);
    router.dispatch(std::move(request), [&](Response response) { answer = std::move(response); });
    return answer;
}

}  // namespace

TEST_CASE("router: finds literal and parameter paths", "[http]") {
    const auto router = make_router();
    CHECK(ask(router, "GET", "/").body == "root");
    CHECK(ask(router, "GET", "/api/v1/incidents").body == "list");
    CHECK(ask(router, "GET", "/api/v1/incidents/inc-7").body == "one,inc-7");
    CHECK(ask(router, "POST", "/api/v1/incidents/inc-7/steps/2").body == "step,inc-7,2");
}

TEST_CASE("router: an unknown path is 404, also with a slash more or less", "[http]") {
    const auto router = make_router();
    for (const std::string path : {"/nothing", "/api/v1/incidents/", "/api/v1/incidents//", "",
                                   "//", "/api/v1/incidents/a/b", "/API/v1/incidents", "*"}) {
        INFO(path);
        CHECK(ask(router, "GET", path).status == (path.empty() ? 200 : 404));
    }
}

TEST_CASE("router: a known path with another method is 405 and says which are allowed", "[http]") {
    const auto router = make_router();
    const auto answer = ask(router, "DELETE", "/api/v1/incidents");
    CHECK(answer.status == 405);
    CHECK(answer.header("allow") == "GET, HEAD");
    CHECK(ask(router, "PUT", "/api/v1/status").header("allow") == "GET, HEAD, POST");
    CHECK(ask(router, "get", "/").status == 405);  // Methods are case-sensitive.
}

TEST_CASE("router: HEAD is answered by the GET handler, with its parameters", "[http]") {
    const auto router = make_router();
    CHECK(ask(router, "HEAD", "/api/v1/incidents/inc-7").body == "one,inc-7");
    CHECK(ask(router, "HEAD", "/api/v1/incidents/inc-7/steps/2").status == 405);
}

TEST_CASE("router: a literal segment goes before a parameter, whatever the order", "[http]") {
    Router router;
    router.add("GET", "/a/{x}", tell("parameter"));
    router.add("GET", "/a/b", tell("literal"));
    CHECK(ask(router, "GET", "/a/b").body == "literal");
    CHECK(ask(router, "GET", "/a/c").body == "parameter,c");
}

TEST_CASE("router: an encoded slash stays inside its segment", "[http]") {
    const auto router = make_router();
    const auto answer = ask(router, "GET", "/api/v1/incidents/deployment:shop/checkout",
                            "/api/v1/incidents/deployment:shop%2Fcheckout?verbose=1");
    CHECK(answer.body == "one,deployment:shop/checkout");
}

TEST_CASE("router: a target that is not encoded correctly is 400", "[http]") {
    CHECK(ask(make_router(), "GET", "/", "/api/v1/incidents/%zz").status == 400);
}

}  // namespace vigie::http
