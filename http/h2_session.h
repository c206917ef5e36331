#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/server_impl.h"

namespace vigie::http {

// What a client of HTTP/2 that knows whom it talks to sends first (RFC 9113, 3.4).
inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Takes over a connection whose first bytes, `received`, begin like the preface.
void start_h2(const std::shared_ptr<ServerCore>& core, Stream stream, std::string received,
              std::string remote);

}  // namespace vigie::http
