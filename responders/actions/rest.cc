#include "responders/actions/rest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <mutex>
#include <utility>
#include <vector>

#include "core/redact.h"

namespace vigie::actions {

namespace {

constexpr std::size_t kTokenBytesMax = 16 * 1024;
constexpr std::size_t kMessageBytesMax = 300;
constexpr std::size_t kTokensKept = 4;

Result<std::string> read_token(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(kTokenBytesMax, '\0');
    if (!file) return fail(ErrorKind::kUnavailable, fmt::format("cannot read token '{}'", path));
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
        text.pop_back();
    }
    if (text.empty())
        return fail(ErrorKind::kUnavailable, fmt::format("token '{}' is empty", path));
    return text;
}

}  // namespace

// A file's token may be renewed while an answer that repeats the older one is on its way.
struct RestApi::Used {
    void add(const std::string& token) {
        const std::scoped_lock lock(mutex);
        if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) return;
        tokens.push_back(token);
        if (tokens.size() > kTokensKept) tokens.erase(tokens.begin());
    }
    std::vector<std::string> all() {
        const std::scoped_lock lock(mutex);
        return tokens;
    }

    std::mutex mutex;  // Protects everything below.
    std::vector<std::string> tokens;
};

RestApi::RestApi(Options options) : options_(std::move(options)), used_(std::make_shared<Used>()) {}

std::string RestApi::clean(std::string_view text) const {
    auto secrets = used_->all();
    secrets.push_back(options_.token);
    return one_line(redact(text, secrets), kMessageBytesMax);
}

Result<http::ClientRequest> RestApi::prepare(std::string method, std::string_view target,
                                             std::string* secret) const {
    http::ClientRequest request;
    request.method = std::move(method);
    request.url = fmt::format("{}{}", options_.base_url, target);
    request.headers.emplace_back("Accept", "application/json");
    *secret = options_.token;
    if (!options_.token_file.empty()) {
        VIGIE_TRY_ASSIGN(*secret, read_token(options_.token_file));
    }
    if (!secret->empty()) {
        used_->add(*secret);
        request.headers.emplace_back("Authorization", options_.token_prefix + *secret);
    }
    return request;
}

http::ClientOptions RestApi::limited(const CallBudget& budget) const {
    auto client = options_.client;
    client.total_timeout = std::min(client.total_timeout, budget.left());
    client.connect_timeout = std::min(client.connect_timeout, client.total_timeout);
    return client;
}

Result<http::Response> RestApi::read(std::string_view target, CallBudget& budget) const {
    if (budget.left().count() <= 0) {
        return fail(ErrorKind::kCancelled, "the time for this action is used up");
    }
    std::string secret;
    VIGIE_TRY_ASSIGN(const auto request, prepare("GET", target, &secret));
    auto response = http::send(request, limited(budget), budget.stop());
    if (!response) {
        return fail(response.error().error.kind,
                    fmt::format("{}: {}", options_.name,
                                clean(redact(response.error().error.message, std::array{secret}))));
    }
    return *std::move(response);
}

Written RestApi::write(const Write& write, CallBudget& budget) const {
    std::string secret;
    auto request = prepare(write.method, write.target, &secret);
    if (!request) {
        return {
            .fate = Fate::kRefused, .status = 0, .body = {}, .message = request.error().message};
    }
    if (!write.content_type.empty()) {
        request->headers.emplace_back("Content-Type", write.content_type);
    }
    request->body = write.body;
    if (const auto status = budget.may_change(); !status) {
        return {.fate = Fate::kRefused, .status = 0, .body = {}, .message = status.error().message};
    }
    auto response = http::send(*request, limited(budget), budget.stop());
    if (!response) {
        return {.fate = response.error().sent ? Fate::kUnknown : Fate::kFailed,
                .status = 0,
                .body = {},
                .message =
                    fmt::format("{}: {}", options_.name,
                                clean(redact(response.error().error.message, std::array{secret})))};
    }
    Written result{.fate = fate_of_status(response->status),
                   .status = response->status,
                   .body = std::move(response->body),
                   .message = {}};
    if (result.fate != Fate::kDone) {
        result.message = fmt::format("{} answered {}", options_.name, result.status);
    }
    return result;
}

Fate fate_of_status(int status) {
    if (status >= 200 && status < 300) return Fate::kDone;
    if (status == 501 || status == 505) return Fate::kFailed;
    if (status >= 400 && status < 500 && status != 408) return Fate::kFailed;
    return Fate::kUnknown;
}

Outcome not_called(const Error& error) {
    const bool unread = is_retryable(error.kind) || error.kind == ErrorKind::kCancelled;
    return {.fate = unread ? Fate::kFailed : Fate::kRefused, .message = error.message, .facts = {}};
}

ErrorKind kind_of_status(int status) {
    switch (status) {
        case 401:
        case 403: return ErrorKind::kRefused;
        case 404:
        case 410: return ErrorKind::kNotFound;
        case 409: return ErrorKind::kConflict;
        case 429: return ErrorKind::kOverloaded;
        case 408: return ErrorKind::kUnavailable;
        default: return status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kInvalid;
    }
}

std::string value_of(const ActionRequest& request, std::string_view name) {
    const std::string key(name);
    if (const auto it = request.parameters.find(key); it != request.parameters.end()) {
        return it->second;
    }
    const auto it = request.facts.find(key);
    return it == request.facts.end() ? std::string{} : it->second;
}

bool is_dns_name(std::string_view text) {
    constexpr std::size_t kBytesMax = 253;
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || text.size() > kBytesMax) return false;
    if (!alphanumeric(text.front()) || !alphanumeric(text.back())) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '.' && text[i - 1] == '.') return false;
        if (!alphanumeric(c) && c != '-' && c != '.') return false;
    }
    return true;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
    constexpr std::size_t kDigitsMax = 18;
    if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace vigie::actions
