#pragma once

#include "http/router.h"

namespace vigie::console {

// GET /, /style.css and /app.js: the files of console/page/, which are part of the program.
void add_page(http::Router& router);

}  // namespace vigie::console
