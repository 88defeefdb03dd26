"""Where a repository is, as parameters: a clone under the root, or GitHub."""

from __future__ import annotations

from pydantic import Field

from bot.checks.github import GitHub
from bot.checks.kind import Context, NoData, Params, SecretValue
from bot.checks.repository import LocalGit, Repository


class RepositoryParams(Params):
    """A folder with git in it, or a repository on GitHub."""

    repo: str = Field(".", description="Folder of a clone, relative to the root.")
    github: str = Field(
        "", pattern=r"^([\w.-]+/[\w.-]+)?$", description="OWNER/NAME on GitHub, asked instead."
    )
    token: SecretValue | None = Field(None, description="GitHub token that may read the repository.")
    api: str = Field("https://api.github.com", description="Base URL of GitHub's REST API.")

    def repository(self, context: Context) -> Repository:
        """Where to ask."""
        return self.hub(context) if self.github else LocalGit(context, self.repo)

    def hub(self, context: Context) -> GitHub:
        """The repository on GitHub."""
        return GitHub(context, self.github, self.token, api=self.api)


def revision_of(text: str, context: Context) -> str:
    """A revision of the parameters, else the deployment's version. Raises NoData for what is none."""
    revision = text or context.version
    if not revision or revision.startswith("-"):
        raise NoData(f"'{revision}' is no branch, tag or commit")
    return revision
