#include "tests/http/fixture.h"

#include <catch2/catch.hpp>
#include <cstdlib>

namespace vigie::http::test {

void Site::start(Server::Options options) {
    options.name = "test";
    auto started = Server::start(std::move(options), router, metrics, log);
    if (!started) FAIL(started.error().message);
    server = *std::move(started);
}

double Site::metric(const std::string& series) const {
    const auto text = "\n" + metrics.expose();
    const auto at = text.find("\n" + series + " ");
    return at == std::string::npos ? 0
                                   : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
}

void echo(Request request, Respond respond) {
    respond(Response::text(200, request.method + " " + request.path + " " + request.body));
}

ClientOptions fast_client() {
    ClientOptions options;
    options.connect_timeout = std::chrono::seconds{10};
    options.total_timeout = std::chrono::seconds{10};
    return options;
}

}  // namespace vigie::http::test
