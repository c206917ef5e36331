#include "responders/actions/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string_view>

#include "core/redact.h"
#include "http/client.h"
#include "responders/actions/rest.h"
#include "schemas/json.h"

namespace vigie::actions {

namespace {

constexpr std::size_t kValueBytesMax = 1024;
constexpr std::size_t kSecretHeaderBytesMin = 4;
constexpr std::size_t kShownBytesMax = 300;

using Encode = std::function<Result<std::string>(const std::string&)>;

bool is_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
}

// Replaces "{NAME}" where NAME is a name; other braces (JSON has many) stay as they are.
Result<std::string> fill(std::string_view text, const std::map<std::string, std::string>& values,
                         const Encode& encode) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto close = text[at] == '{' ? text.find('}', at) : std::string_view::npos;
        const auto name = close == std::string_view::npos ? std::string_view{}
                                                          : text.substr(at + 1, close - at - 1);
        if (!is_name(name)) {
            out += text[at++];
            continue;
        }
        const auto it = values.find(std::string(name));
        if (it == values.end()) {
            return fail(ErrorKind::kInvalid, fmt::format("the parameter {} is missing", name));
        }
        if (it->second.size() > kValueBytesMax) {
            return fail(ErrorKind::kInvalid, fmt::format("the parameter {} is too long", name));
        }
        VIGIE_TRY_ASSIGN(const auto value, encode(it->second));
        out += value;
        at = close + 1;
    }
    return out;
}

Result<std::string> for_url(const std::string& value) {
    // "." and ".." change the path; an empty segment does too.
    if (value.empty() || value == "." || value == "..") {
        return fail(ErrorKind::kInvalid, "a parameter of a URL is empty, '.' or '..'");
    }
    return http::percent_encode(value);
}

Result<std::string> for_body(const std::string& value) {
    const auto quoted = schemas::dump_json(schemas::Json(value));
    return quoted.substr(1, quoted.size() - 2);
}

// The words of a text that may be secrets: long enough to be one.
void add_words(std::string_view text, std::vector<std::string>& out) {
    constexpr std::size_t kWordBytesMin = 6;
    const auto is_in_word = [](char c) { return is_name({&c, 1}) || c == '.' || c == '~'; };
    for (std::size_t at = 0; at < text.size();) {
        auto end = at;
        while (end < text.size() && is_in_word(text[end])) ++end;
        if (end - at >= kWordBytesMin) out.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
}

// The path and query of a URL or of its template.
std::string_view target_of(std::string_view url) {
    const auto scheme = url.find("://");
    const auto path = url.find_first_of("/?", scheme == std::string_view::npos ? 0 : scheme + 3);
    return path == std::string_view::npos ? std::string_view{} : url.substr(path);
}

class HttpAction final : public Action {
public:
    explicit HttpAction(const std::vector<HttpTarget>& targets) {
        for (const auto& target : targets) targets_.emplace(target.name, target);
    }

    std::string_view name() const override { return "http.request"; }
    // Of the worst target: the catalogue knows actions, not their targets.
    schemas::Risk risk() const override {
        auto worst = schemas::Risk::kRead;
        for (const auto& [name, target] : targets_) worst = std::max(worst, target.risk);
        return worst;
    }

    Result<Inspection> inspect(const ActionRequest& request, CallBudget& budget) const override;
    Outcome execute(const ActionRequest& request, CallBudget& budget) const override;
    Look look(const ActionRequest& request, CallBudget& budget) const override;

private:
    Result<const HttpTarget*> find(const ActionRequest& request) const;
    Result<http::ClientRequest> prepare(const HttpTarget& target,
                                        const ActionRequest& request) const;
    static std::string clean(const HttpTarget& target, std::string_view text);
    static http::ClientOptions options(const HttpTarget& target, const CallBudget& budget);

    std::map<std::string, HttpTarget> targets_;
};

Result<const HttpTarget*> HttpAction::find(const ActionRequest& request) const {
    const auto name = value_of(request, "request");
    const auto it = targets_.find(name);
    if (it != targets_.end()) return &it->second;
    return fail(ErrorKind::kInvalid,
                fmt::format("the parameter request names no configured request: '{}'",
                            one_line(name, 100)));
}

Result<http::ClientRequest> HttpAction::prepare(const HttpTarget& target,
                                                const ActionRequest& request) const {
    http::ClientRequest out;
    out.method = target.method;
    VIGIE_TRY_ASSIGN(out.url, fill(target.url, request.parameters, for_url));
    VIGIE_TRY_ASSIGN(out.body, fill(target.body, request.parameters, for_body));
    out.headers = target.headers;
    out.headers.emplace_back("Idempotency-Key", request.id.value);
    if (!out.body.empty()) out.headers.emplace_back("Content-Type", target.content_type);
    return out;
}

std::string HttpAction::clean(const HttpTarget& target, std::string_view text) {
    std::vector<std::string> secrets;
    for (const auto& [name, value] : target.headers) {
        if (value.size() >= kSecretHeaderBytesMin) secrets.push_back(value);
        const auto blank = value.rfind(' ');  // "Bearer SECRET"
        if (blank != std::string::npos) secrets.push_back(value.substr(blank + 1));
    }
    // Peers repeat what they were sent; a path or a body may be as secret as a header.
    for (const auto& url : {target.url, target.look_url}) {
        const auto path = target_of(url);
        if (path.size() > 1) secrets.emplace_back(path);
        add_words(path, secrets);
    }
    if (!target.body.empty()) secrets.push_back(target.body);
    add_words(target.body, secrets);
    return one_line(redact(text, secrets), kShownBytesMax);
}

http::ClientOptions HttpAction::options(const HttpTarget& target, const CallBudget& budget) {
    http::ClientOptions out;
    out.total_timeout = std::min(target.timeout, budget.left());
    out.connect_timeout = std::min(out.connect_timeout, out.total_timeout);
    out.ca_file = target.ca_file;
    return out;
}

Result<Inspection> HttpAction::inspect(const ActionRequest& request, CallBudget&) const {
    VIGIE_TRY_ASSIGN(const auto* target, find(request));
    VIGIE_TRY_ASSIGN(const auto prepared, prepare(*target, request));
    VIGIE_TRY_ASSIGN(const auto url, http::parse_url(prepared.url));
    // Not the path, the query or the body: any of them may hold a secret.
    return Inspection{
        .facts = {{"request", target->name},
                  {"method", prepared.method},
                  {"host", url.host},
                  {"request_risk", std::string(to_string(target->risk))}},
        .diff = {one_line(fmt::format("+ {}: {} to {}", target->name, prepared.method, url.host),
                          kShownBytesMax)}};
}

Outcome HttpAction::execute(const ActionRequest& request, CallBudget& budget) const {
    const auto target = find(request);
    if (!target) return not_called(target.error());
    const auto prepared = prepare(**target, request);
    if (!prepared) return not_called(prepared.error());
    if (const auto status = budget.may_change(); !status) return not_called(status.error());
    const auto response = http::send(*prepared, options(**target, budget), budget.stop());
    if (!response) {
        return {.fate = response.error().sent ? Fate::kUnknown : Fate::kFailed,
                .message = clean(**target, response.error().error.message),
                .facts = {}};
    }
    Outcome out{.fate = fate_of_status(response->status),
                .message = fmt::format("'{}' answered {}", (*target)->name, response->status),
                .facts = {{"http_status", std::to_string(response->status)}}};
    if (out.fate != Fate::kDone && !response->body.empty()) {
        out.message += ": " + clean(**target, response->body);
    }
    return out;
}

Look HttpAction::look(const ActionRequest& request, CallBudget& budget) const {
    const auto unknown = [](std::string message) {
        return Look{.sight = Sight::kUnknown, .message = std::move(message), .facts = {}};
    };
    const auto target = find(request);
    if (!target) return unknown(target.error().message);
    if ((*target)->look_url.empty()) {
        return unknown(fmt::format("request '{}' has no look_url configured", (*target)->name));
    }
    auto values = request.parameters;
    values.insert_or_assign("action_id", request.id.value);
    auto url = fill((*target)->look_url, values, for_url);
    if (!url) return unknown(url.error().message);
    const auto response =
        http::send({.method = "GET", .url = *url, .headers = (*target)->headers, .body = {}},
                   options(**target, budget), budget.stop());
    if (!response) return unknown(clean(**target, response.error().error.message));
    const Facts facts{{"look_status", std::to_string(response->status)}};
    const auto message =
        fmt::format("the look of '{}' answered {}", (*target)->name, response->status);
    if (response->status >= 200 && response->status < 300) {
        return {.sight = Sight::kApplied, .message = message, .facts = facts};
    }
    if (response->status == 404) {
        return {.sight = Sight::kNotApplied, .message = message, .facts = facts};
    }
    return {.sight = Sight::kUnknown, .message = message, .facts = facts};
}

// With every placeholder filled by a harmless value, the URL must be one, and its host must not
// come from a parameter.
Status check_url(std::string_view text) {
    std::map<std::string, std::string> values;
    for (auto at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
        const auto close = text.find('}', at);
        if (close == std::string_view::npos) break;
        values.emplace(text.substr(at + 1, close - at - 1), "x");
    }
    VIGIE_TRY_ASSIGN(const auto filled, fill(text, values, for_url));
    VIGIE_TRY_ASSIGN(const auto url, http::parse_url(filled));
    const auto scheme = text.find("://");
    const auto path = text.find('/', scheme == std::string_view::npos ? 0 : scheme + 3);
    if (text.substr(0, path).find('{') != std::string_view::npos) {
        return fail(ErrorKind::kInvalid, "the host must not come from a parameter");
    }
    return {};
}

Status check(const HttpTarget& target) {
    constexpr std::array<std::string_view, 4> kMethods{"POST", "PUT", "PATCH", "DELETE"};
    if (!is_name(target.name)) return fail(ErrorKind::kInvalid, "the name is not a name");
    if (std::find(kMethods.begin(), kMethods.end(), target.method) == kMethods.end()) {
        return fail(ErrorKind::kInvalid, "the method must be POST, PUT, PATCH or DELETE");
    }
    VIGIE_TRY(check_url(target.url));
    if (!target.look_url.empty()) VIGIE_TRY(check_url(target.look_url));
    for (const auto& [name, value] : target.headers) {
        if (!is_name(name) || value.find_first_of("\r\n") != std::string::npos) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("the header '{}' cannot be sent", one_line(name, 100)));
        }
    }
    return {};
}

}  // namespace

Status add_http_action(const std::vector<HttpTarget>& targets, Catalogue& catalogue) {
    std::map<std::string, bool> seen;
    for (const auto& target : targets) {
        const auto doing = fmt::format("http request '{}'", one_line(target.name, 100));
        if (auto status = check(target); !status) return fail(std::move(status).error().in(doing));
        if (!seen.emplace(target.name, true).second) {
            return fail(ErrorKind::kInvalid, doing + " is configured twice");
        }
    }
    catalogue.add(std::make_unique<HttpAction>(targets));
    return {};
}

}  // namespace vigie::actions
