// travelchat._core: what the package above it (bindings/python/travelchat) is made on. Not for use by itself.
#include "engine.hpp"
#include "host.hpp"
#include "records.hpp"
#include "server.hpp"

#include <pybind11/pybind11.h>

#include <exception>

namespace travelchat::python {

namespace {

// For errors.py; a row of the one error table.
void bind_errors(py::module_& module) {
  py::class_<ErrorInfo>(module, "ErrorRow")
      .def_property_readonly("code", [](const ErrorInfo& row) { return row.name; })
      .def_readonly("http_status", &ErrorInfo::http_status)
      .def_readonly("close_code", &ErrorInfo::close_code)
      .def_readonly("message", &ErrorInfo::message);
  module.def("error_table", [] {
    py::list rows;
    for (const ErrorInfo& row : error_table()) rows.append(row);
    return rows;
  });
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
      const py::object error = make_error(failure.code, failure.message);
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    }
  });
}

}  // namespace

}  // namespace travelchat::python

PYBIND11_MODULE(_core, module) {
  namespace binding = travelchat::python;
  binding::load_records();
  binding::bind_errors(module);
  binding::bind_engine(module);
  binding::bind_host(module);
  binding::bind_server(module);
}
