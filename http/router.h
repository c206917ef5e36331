#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace vigie::http {

// Finds the handler of a request by method and path. Built before the server starts, then
// only read. A "{name}" part of a pattern matches one non-empty path segment.
class Router {
public:
    // Asserts that the same method and pattern is not added twice.
    void add(std::string method, std::string_view pattern, Handler handler);

    // 404 when no pattern matches, 405 with Allow when one does with another method. HEAD is
    // answered by the GET handler.
    void dispatch(Request request, Respond respond) const;

private:
    struct Route {
        std::string method;
        std::vector<std::string> parts;
        Handler handler;
    };
    std::vector<Route> routes_;
};

}  // namespace vigie::http
