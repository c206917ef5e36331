#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"

// Who may ask, and what every answer tells a browser.
namespace vigie::console {

// Nothing from elsewhere, no inline script or style, no frame around it.
void add_security_headers(http::Response& response);

// "127.0.0.1:9099", "[::1]:9099" or "localhost": what no name server can point elsewhere. A page
// whose own name was made to lead here (DNS rebinding) sends that name.
bool is_address_or_localhost(std::string_view host);

// Why a request that changes something is refused, or nullopt: 403 when it comes from a page of
// another origin, or without a token from a page under a host name; 401 when `token` is set and not
// the one that was sent (compared in constant time).
std::optional<http::Response> refusal_of_change(const http::Request& request,
                                                const std::string& token);

}  // namespace vigie::console
