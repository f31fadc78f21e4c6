// travelchat._core, the native half of the package (bindings/python/travelchat). Not for use by itself.
#include "engine.hpp"
#include "host.hpp"
#include "records.hpp"
#include "server.hpp"

#include <travelchat/text_search.hpp>

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
    } catch (const OptionError& refused) {
      // Python's names are those of the structs.
      PyErr_SetString(PyExc_ValueError, refused.what());
    }
  });
}

}  // namespace

}  // namespace travelchat::python

PYBIND11_MODULE(_core, module) {
  namespace binding = travelchat::python;
  binding::load_records();
  binding::bind_errors(module);
  module.def(
      "fold_text", [](pybind11::handle text) { return travelchat::fold_text(binding::to_well_formed(text, "text")); },
      pybind11::arg("text"),
      "Makes texts equal that differ only in case or in how their letters are composed: by it the storages of this "
      "package\nfind messages, and a storage or a `search_clients` of one's own finds alike.");
  binding::bind_engine(module);
  binding::bind_host(module);
  binding::bind_server(module);
}
