#include "http/message.h"

#include "http/url.h"

namespace vigie::http {
namespace {

std::string_view find(const std::vector<std::pair<std::string, std::string>>& headers,
                      std::string_view name) {
    for (const auto& [key, value] : headers) {
        if (equal_ignoring_case(key, name)) return value;
    }
    return {};
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
    return find(headers, name);
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

Response Response::text(int status, std::string body) {
    return {status, {{"content-type", "text/plain; charset=utf-8"}}, std::move(body)};
}

Response Response::json(int status, std::string body) {
    return {status, {{"content-type", "application/json"}}, std::move(body)};
}

std::string_view Response::header(std::string_view name) const {
    return find(headers, name);
}

}  // namespace vigie::http
