#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <string_view>

#include "http/server_impl.h"

namespace vigie::http {

using BeastRequest = boost::beast::http::request<boost::beast::http::string_body>;

bool is_websocket_upgrade(const BeastRequest& request);

// Browsers send Origin with every WebSocket and do not stop other sites' pages from opening one:
// the server must. True without an Origin (not a browser), or when its host and port are `host`.
bool same_origin(std::string_view origin, std::string_view host);

// Takes over a connection whose upgrade request was read; the session registers itself and
// calls Options::on_websocket when the client has its answer.
void start_websocket(const std::shared_ptr<ServerCore>& core, Stream stream, BeastRequest request);

}  // namespace vigie::http
