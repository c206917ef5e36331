#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vigie::http {

struct Request {
    std::string method{};  // "GET", as received.
    std::string path{};    // Percent-decoded, without the query.
    std::vector<std::pair<std::string, std::string>> query{};    // Percent-decoded, in order.
    std::vector<std::pair<std::string, std::string>> headers{};  // Names in lower case, in order.
    std::vector<std::string> path_parts{};  // What the route's "{…}" matched, in order.
    std::string body{};    // Complete; transfer coding is undone, content coding is not.
    std::string remote{};  // "127.0.0.1:51234"
    // Path and query as received. The router splits this one into segments, so that "%2F" stays
    // inside its segment; when it is empty (a request made by hand) it splits `path`.
    std::string target{};
    bool http2 = false;

    // "" when absent; `name` in lower case. The first one when there are several.
    std::string_view header(std::string_view name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
};

struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};
    std::vector<std::pair<std::string, std::string>> trailers{};  // HTTP/1.1 leaves them out.
    // The server holds it back for so long, unless it is draining: who is refused too soon asks
    // again too soon.
    std::chrono::milliseconds held_back{0};

    static Response text(int status, std::string body);    // text/plain; charset=utf-8
    static Response json(int status, std::string body);    // application/json
    std::string_view header(std::string_view name) const;  // `name` in lower case
};

// Answers one request. May be called from any thread, at once or later; the first call counts.
// When all copies are destroyed without a call, the server answers 500.
using Respond = std::function<void(Response)>;

// Called on a server thread. Must not block: it reads a published view, or hands on and
// answers later.
using Handler = std::function<void(Request, Respond)>;

}  // namespace vigie::http
