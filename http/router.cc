#include "http/router.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/result.h"
#include "http/url.h"

namespace vigie::http {
namespace {

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> parts;
    if (path.starts_with('/')) path.remove_prefix(1);
    while (true) {
        const auto slash = path.find('/');
        parts.emplace_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return parts;
        path.remove_prefix(slash + 1);
    }
}

// nullopt when a segment is not encoded correctly.
std::optional<std::vector<std::string>> segments(const Request& request) {
    if (request.target.empty()) return split(request.path);
    auto parts = split(std::string_view(request.target).substr(0, request.target.find('?')));
    for (auto& part : parts) {
        auto decoded = percent_decode(part);
        if (!decoded) return std::nullopt;
        part = *std::move(decoded);
    }
    return parts;
}

bool is_parameter(std::string_view part) {
    return part.starts_with('{') && part.ends_with('}');
}

// What the parameters matched, or nullopt.
std::optional<std::vector<std::string>> match(const std::vector<std::string>& pattern,
                                              const std::vector<std::string>& parts) {
    if (pattern.size() != parts.size()) return std::nullopt;
    std::vector<std::string> matched;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!is_parameter(pattern[i])) {
            if (pattern[i] != parts[i]) return std::nullopt;
        } else if (parts[i].empty()) {
            return std::nullopt;
        } else {
            matched.push_back(parts[i]);
        }
    }
    return matched;
}

// Fewer parameters is more specific: "/api/status" goes before "/api/{name}".
bool more_specific(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::ranges::lexicographical_compare(a, b, {}, is_parameter, is_parameter);
}

std::string join(const std::set<std::string>& methods) {
    std::string text;
    for (const auto& method : methods) {
        if (!text.empty()) text += ", ";
        text += method;
    }
    return text;
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, Handler handler) {
    auto parts = split(pattern);
    for (const auto& route : routes_) {
        VIGIE_ASSERT(route.method != method || route.parts != parts);
    }
    const auto place = std::ranges::upper_bound(routes_, parts, more_specific, &Route::parts);
    routes_.insert(place, {std::move(method), std::move(parts), std::move(handler)});
}

void Router::dispatch(Request request, Respond respond) const {
    const auto parts = segments(request);
    if (!parts) return respond(Response::text(400, "path is not percent-encoded correctly\n"));

    std::set<std::string> allowed;
    const Route* fallback = nullptr;  // The GET route of a HEAD request.
    for (const auto& route : routes_) {
        auto matched = match(route.parts, *parts);
        if (!matched) continue;
        if (route.method == request.method) {
            request.path_parts = *std::move(matched);
            return route.handler(std::move(request), std::move(respond));
        }
        if (request.method == "HEAD" && route.method == "GET" && fallback == nullptr) {
            fallback = &route;
            request.path_parts = *std::move(matched);
        }
        allowed.insert(route.method);
        if (route.method == "GET") allowed.insert("HEAD");
    }
    if (fallback != nullptr) return fallback->handler(std::move(request), std::move(respond));
    if (allowed.empty()) return respond(Response::text(404, "no such path\n"));
    auto response = Response::text(405, "method not allowed on this path\n");
    response.headers.emplace_back("allow", join(allowed));
    respond(std::move(response));
}

}  // namespace vigie::http
