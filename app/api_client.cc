#include "app/api_client.h"

#include <fmt/format.h>

#include "http/client.h"
#include "schemas/json.h"

namespace vigie::app {

namespace {

// The reason inside {"error": "…"}, or the body itself.
std::string reason_of(const std::string& body) {
    if (const auto json = schemas::parse_json(body)) {
        if (auto reason = schemas::string_at(*json, "/error")) return *std::move(reason);
    }
    return body.substr(0, 500);
}

ErrorKind kind_of(int status) {
    if (status == 404) return ErrorKind::kNotFound;
    if (status == 401 || status == 403) return ErrorKind::kRefused;
    return status / 100 == 4 ? ErrorKind::kInvalid : ErrorKind::kUnavailable;
}

}  // namespace

Result<std::string> ApiClient::get(std::string_view path) const {
    return call("GET", path, {});
}

Result<std::string> ApiClient::post(std::string_view path, std::string_view json) const {
    return call("POST", path, json);
}

Result<std::string> ApiClient::call(std::string method, std::string_view path,
                                    std::string_view body) const {
    http::ClientRequest request;
    request.method = std::move(method);
    request.url = options_.server + std::string(path);
    request.body = body;
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    if (!options_.token.empty()) {
        request.headers.emplace_back("Authorization", "Bearer " + options_.token);
    }
    http::ClientOptions options;
    options.ca_file = options_.ca_file;
    auto response = http::send(request, options);
    if (!response) {
        return fail(response.error().error.kind,
                    fmt::format("{}: {}; is 'vigie serve' running there? --server names another",
                                options_.server, response.error().error.message));
    }
    if (response->status / 100 == 2) return std::move(response->body);
    return fail(kind_of(response->status),
                fmt::format("{} answered {}: {}", options_.server, response->status,
                            reason_of(response->body)));
}

}  // namespace vigie::app
