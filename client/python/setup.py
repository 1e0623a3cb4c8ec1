"""Makes the messages out of belief.proto while the package is built; everything else is in pyproject.toml."""
from importlib.metadata import version
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
PROTOS = [HERE / "proto" / "belief.proto",  # in a source distribution
          HERE.parent.parent / "proto" / "belief" / "v1" / "belief.proto"]  # in the repository


def proto() -> Path:
    for path in PROTOS:
        if path.exists():
            return path
    raise SystemExit(f"belief.proto is neither of {', '.join(map(str, PROTOS))}")


class BuildMessages(build_py):
    def run(self) -> None:
        super().run()
        from grpc_tools import protoc

        out = HERE / "src" if self.editable_mode else Path(self.build_lib)
        (out / "beliefd" / "wire").mkdir(parents=True, exist_ok=True)
        (out / "beliefd" / "wire" / "__init__.py").write_text('"""Made from belief.proto."""\n')
        # The name before "=" is the package that the modules are to be in.
        if protoc.main(["protoc", f"-Ibeliefd/wire={proto().parent}", f"--python_out={out}",
                        f"--grpc_python_out={out}", "beliefd/wire/belief.proto"]):
            raise SystemExit("protoc refuses belief.proto")


class PackProto(sdist):
    def make_release_tree(self, base_dir: str, files: "list[str]") -> None:
        super().make_release_tree(base_dir, files)
        target = Path(base_dir) / "proto" / "belief.proto"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(proto().read_bytes())


def dependencies() -> "list[str]":
    needed = ["numpy>=1.21", "googleapis-common-protos>=1.56"]
    for package in ("grpcio", "protobuf"):
        needed.append(f"{package}>={version(package)}")
    return needed


setup(cmdclass={"build_py": BuildMessages, "sdist": PackProto}, install_requires=dependencies())
