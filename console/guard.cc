#include "console/guard.h"

#include "console/render.h"
#include "http/signature.h"

namespace vigie::console {

namespace {

// Browsers send Origin with every POST; other programs do not. A page of another site has
// another host there, or "null".
std::optional<std::string_view> reason_against_browser(const http::Request& request,
                                                       bool has_token) {
    const std::string_view origin = request.header("origin");
    if (origin.empty()) return std::nullopt;
    const std::string_view host = request.header("host");
    const auto scheme = origin.find("://");
    if (scheme == std::string_view::npos || origin.substr(scheme + 3) != host) {
        return "the request comes from another site";
    }
    // Without a token the name could be a stranger's that points here (DNS rebinding).
    if (!has_token && !is_address_or_localhost(host)) {
        return "without a token a browser may decide only at an address or localhost: configure "
               "a token, or open the console by its address";
    }
    return std::nullopt;
}

}  // namespace

bool is_address_or_localhost(std::string_view host) {
    if (host.starts_with('[')) return true;
    const auto name = host.substr(0, host.find(':'));
    return name == "localhost" ||
           (!name.empty() && name.find_first_not_of("0123456789.") == std::string_view::npos);
}

void add_security_headers(http::Response& response) {
    constexpr std::pair<const char*, const char*> kHeaders[] = {
        {"content-security-policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"x-content-type-options", "nosniff"},
        {"x-frame-options", "DENY"},
        {"referrer-policy", "no-referrer"},
        {"cross-origin-opener-policy", "same-origin"},
        {"cross-origin-resource-policy", "same-origin"},
        {"cache-control", "no-store"},
    };
    for (const auto& [name, value] : kHeaders) response.headers.emplace_back(name, value);
}

std::optional<http::Response> refusal_of_change(const http::Request& request,
                                                const std::string& token) {
    if (const auto reason = reason_against_browser(request, !token.empty())) {
        return http::Response::json(403, render_error(*reason));
    }
    if (http::authorized(token, request.header("authorization"))) return std::nullopt;
    auto response = http::Response::json(401, render_error("the bearer token is missing or wrong"));
    response.headers.emplace_back("www-authenticate", "Bearer");
    return response;
}

}  // namespace vigie::console
