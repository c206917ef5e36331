#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/message.h"

// Who may ask, and what every answer tells a browser.
namespace vigie::console {

// Nothing from elsewhere, no inline script or style, no frame around it.
void add_security_headers(http::Response& response);

// Why a request that changes something is refused, or nullopt: 403 when it comes from a page of
// another origin, or without a token from a page under a host name; 401 when `token` is set and not
// the one that was sent (compared in constant time).
std::optional<http::Response> refusal_of_change(const http::Request& request,
                                                const std::string& token);

}  // namespace vigie::console
