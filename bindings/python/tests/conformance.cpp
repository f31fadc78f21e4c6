// The conformance suite of the storages as a Python module, with a storage written in Python as its only backend:
//
//   travelchat_conformance.run(arguments, make) -> exit status
//
// `make()` returns a new, empty travelchat.Storage.
#include "backends.hpp"

#include "gil.hpp"
#include "python_storage.hpp"
#include "records.hpp"
#include "run_catch.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace {

using travelchat::Storage;
using travelchat::python::GilGuard;
using travelchat::python::PythonStorage;

py::object make_storage;  // set while `run` runs

class PythonInstance final : public travelchat::conformance::Instance {
 public:
  PythonInstance() {
    const GilGuard gil;
    storage_ = travelchat::python::make_python_storage(make_storage());
  }
  Storage& storage() override { return *storage_; }
  bool reopen() override { return false; }

 private:
  std::unique_ptr<Storage> storage_;
};

int run(const std::vector<std::string>& arguments, py::object make) {
  make_storage = std::move(make);
  std::vector<const char*> words{"conformance"};
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  const int status = travelchat::python::without_gil(
      [&] { return travelchat::test::run_catch(static_cast<int>(words.size()), words.data()); });
  make_storage = py::object();
  return status;
}

}  // namespace

namespace travelchat::conformance {

std::vector<const Backend*> backends() {
  static const Backend python{"python", [] { return std::make_unique<PythonInstance>(); }};
  return {&python};
}

}  // namespace travelchat::conformance

PYBIND11_MODULE(travelchat_conformance, module) {
  travelchat::python::load_records();
  module.def("run", &run, py::arg("arguments"), py::arg("make"));
}
