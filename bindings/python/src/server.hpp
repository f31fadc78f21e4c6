// The chat's HTTP and WebSocket server inside a Python process.
#pragma once

#include <pybind11/pybind11.h>

namespace travelchat::python {

void bind_server(pybind11::module_& module);

}  // namespace travelchat::python
