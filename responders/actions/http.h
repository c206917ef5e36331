#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "responders/actions/action.h"

namespace vigie::actions {

// One request that http.request may send. "{NAME}" takes a parameter of the action: encoded as
// one path segment or query value in URLs, as the inside of a JSON string in the body. Nothing
// else of a request comes from outside the configuration.
struct HttpTarget {
    std::string name;             // The action's parameter "request" says it.
    std::string method = "POST";  // POST, PUT, PATCH or DELETE
    std::string url;              // "https://ci.example.org/api/jobs/{job}/run"
    std::vector<std::pair<std::string, std::string>> headers{};  // May hold secrets: never shown
    std::string body{};
    std::string content_type = "application/json";
    // Read when the fate of a request is unknown: 2xx means that it was applied, 404 that it was
    // not. Empty: unknown stays unknown, and a person is asked.
    std::string look_url{};
    schemas::Risk risk = schemas::Risk::kIrreversible;
    std::string ca_file{};
    std::chrono::milliseconds timeout{10'000};
};

// Adds http.request. Its parameter "request" is the name of a target; the header
// Idempotency-Key carries the action's id. Redirects are not followed. kInvalid names the target
// whose method, URL, header or template cannot be used.
Status add_http_action(const std::vector<HttpTarget>& targets, Catalogue& catalogue);

}  // namespace vigie::actions
