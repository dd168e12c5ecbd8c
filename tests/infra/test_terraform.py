"""What `terraform apply` would make of production: what is reached how, who may do what, who is told of what.

Each rule is a function from a plan to its complaints, so that it can be shown that it complains.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from common.config import LogSettings, Settings
from common.errors import PathNotFound
from infra import functions, package, pages
from tests.infra import plans
from tests.infra.plans import REPOSITORY, NotPlanned, Plan

PRODUCTION = "-var-file=environments/production.tfvars"
OPENAPI = json.loads((REPOSITORY / "docs/openapi.json").read_text(encoding="utf-8"))
ENDPOINTS = {name: function.endpoint for name, function in functions.load_all().items()}
JOBS = {name for name, endpoint in ENDPOINTS.items() if endpoint.path.startswith("/jobs/")}
LONGEST_DOCUMENTATION = 8_192  # characters, of an alert in Cloud Monitoring
EXAMPLES = {
    "sessionId": ("0198c2de-5f00-7000-8000-000000000001",),
    "attemptId": ("0198c2de-5f00-7000-8000-000000000002",),
    "userId": ("ada", "a%2Fb", "progress", "lessons"),
    "lessonId": ("intro", "100%25", "assignment", "évidence"),
}
# Of a project as a whole can be given: what a condition narrows to a database server or to the bucket that Cloud
# Functions builds from, and to write a build's log.
NARROWED = {
    "roles/cloudsql.client": 'resource.name == "projects/{project}/instances/{server}"',
    "roles/cloudsql.instanceUser": 'resource.name == "projects/{project}/instances/{server}"',
    "roles/storage.objectViewer": 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-',
}
OF_THE_BUILDER = "roles/logging.logWriter"
OF_THE_FRAMEWORK = {"THREADS", "LOG_EXECUTION_ID"}  # who reads them is not common/config.py
IN_THE_CLOUD = {"DATABASE_URL"}  # INSTANCE_CONNECTION_NAME says it there

Rule = Callable[[Plan], Iterator[str]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a plan reads, with the functions' archives."""
    plans.planner()
    copy = plans.copied(tmp_path_factory.mktemp("repository"))
    package.build(copy / "dist")
    return copy


@pytest.fixture(scope="module")
def production(repository: Path) -> Plan:
    return plans.plan(repository, PRODUCTION)


def url(plan: Plan, path: str) -> str:
    host = plan.one("google_compute_url_map", "edge")["host_rule"][0]["hosts"][0]
    return f"https://{host}{path}"


def operations() -> Iterator[tuple[str, str, str]]:
    """Method, path and function of all that the API's description has."""
    for path, item in OPENAPI["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation["operationId"].partition("_by_")[0]


def examples(path: str) -> Iterator[str]:
    """Paths that a template stands for."""
    name = re.search(r"\{(\w+)\}", path)
    if not name:
        yield path
        return
    for value in EXAMPLES[name[1]]:
        yield from examples(path.replace(name[0], value))


# The edge


@rule
def every_route_reaches_its_function_and_no_other(plan: Plan) -> Iterator[str]:
    for method, path, function in operations():
        for example in examples(path):
            for asked in (method, "HEAD") if method == "GET" else (method,):
                answering = plan.answering(asked, url(plan, example))
                if path.startswith("/jobs/"):
                    if answering in plan.functions:
                        yield f"{asked} {example} reaches {answering}; a job is the scheduler's"
                elif answering != function:
                    yield f"{asked} {example} reaches {answering}, not {function}"


@rule
def every_function_is_of_a_route_and_nothing_else_is_deployed(plan: Plan) -> Iterator[str]:
    for name in sorted(set(plan.functions) ^ set(ENDPOINTS)):
        yield f"{name} is a folder in functions/ or deployed, but not both"
    described = {function for _, _, function in operations()}
    for name in sorted(set(plan.functions) - described):
        yield f"{name} is deployed, and docs/openapi.json has no route of it"
    backends = {one.index for one in plan.of("google_compute_backend_service", "function")}
    for other in sorted(backends ^ (set(plan.functions) - JOBS), key=str):
        yield f"{other} should be behind the load balancer, if it is no job"


@rule
def another_method_reaches_a_function_of_the_path_which_says_what_is_allowed(plan: Plan) -> Iterator[str]:
    paths = {path for _, path, _ in operations() if not path.startswith("/jobs/")}
    for path in sorted(paths):
        of_the_path = {function for _, other, function in operations() if other == path}
        for example in examples(path):
            for method in ("PATCH", "OPTIONS"):
                answering = plan.answering(method, url(plan, example))
                if answering not in of_the_path:
                    yield f"{method} {example} reaches {answering}, not one of {sorted(of_the_path)}"


@rule
def what_is_nobodys_is_answered_with_404_and_wakes_nobody(plan: Plan) -> Iterator[str]:
    job = "/jobs/sweep-stale-sessions"
    for path in (
        "/",
        "/.env",
        "/video",
        "/video/sessions/",
        "/video/sessions/x/y/progress",
        job,
        "/watchful/",
        "/watch/none.js",
    ):
        for method in ("GET", "POST"):
            found = plan.rule(method, url(plan, path))
            if not found["service"].endswith("/backendBuckets/watchledger-pages"):
                yield f"{method} {path} reaches {found['service']}"
            for policy in found["custom_error_response_policy"] or [{"error_response_rule": [{}]}]:
                answer = policy["error_response_rule"][0]
                if answer.get("override_response_code") != 404 or answer.get("path") != "/not-found.json":
                    yield f"{method} {path} is not answered with 404"


@rule
def the_pages_lie_beside_the_api(plan: Plan) -> Iterator[str]:
    bucket = plan.one("google_storage_bucket", "pages")
    stored = {one.values["name"]: one.values for one in plan.of("google_storage_bucket_object")}
    for address, file in pages.files():
        if address.startswith("/media/"):
            continue  # videos are the platform's
        name = f"{address}index.html".lstrip("/") if address.endswith("/") else address.lstrip("/")
        if name not in stored:
            yield f"{address} is not in the bucket"
        elif stored[name]["content_type"] != pages.TYPES[file.suffix]:
            yield f"{address} is {stored[name]['content_type']}, not {pages.TYPES[file.suffix]}"
        if plan.answering("GET", url(plan, address)) != f"bucket {bucket['name']}":
            yield f"{address} does not reach the bucket"
        if address.endswith("/") and plan.answering("GET", url(plan, address.rstrip("/"))) != f"to {address}":
            yield f"{address.rstrip('/')} does not lead to {address}"
    if plan.answering("GET", url(plan, "/config.json")) != f"bucket {bucket['name']}":
        yield "/config.json does not reach the bucket"
    if not json.loads(stored["config.json"]["content"]).keys() <= {"api", "tokenUrl", "signInUrl", "video"}:
        yield "config.json says what the pages don't read"
    headers = dict(line.split(": ", 1) for line in plan.one("google_compute_backend_bucket")["custom_response_headers"])
    if headers["Content-Security-Policy"] != pages.POLICY:
        yield f"the pages' policy is not the local server's: {headers['Content-Security-Policy']}"
    missing = json.loads((REPOSITORY / "terraform" / Path(stored["not-found.json"]["source"]).name).read_text())
    if missing != PathNotFound().document():
        yield f"not-found.json is not what a function answers: {PathNotFound().document()}"


@rule
def the_edge_is_tight(plan: Plan) -> Iterator[str]:
    for backend in plan.of("google_compute_backend_service"):
        if backend.values["load_balancing_scheme"] != "EXTERNAL_MANAGED" or backend.values["enable_cdn"]:
            yield f"{backend.address} is of another kind, or caches"
        if len(backend.values["backend"]) != 1:
            yield f"{backend.address} has another than its function behind it"
    rules = {one["priority"]: one for one in plan.one("google_compute_security_policy", "edge")["rule"]}
    if not any("evaluatePreconfiguredWaf('sqli-v33-stable'" in json.dumps(one) for one in rules.values()):
        yield "there are no OWASP rules"
    limits = [one for one in rules.values() if one["action"] == "throttle"]
    if [one["rate_limit_options"][0]["enforce_on_key"] for one in limits] != ["IP"]:
        yield "there is no limit for each client"
    if any(one.get("preview") for one in rules.values()):
        yield "a rule only watches"
    for to_https in plan.one("google_compute_url_map", "to_https")["default_url_redirect"]:
        if not to_https["https_redirect"] or to_https["redirect_response_code"] != "PERMANENT_REDIRECT":
            yield "HTTP is not sent to HTTPS"
    ports = {one.values["port_range"] for one in plan.of("google_compute_global_forwarding_rule")}
    if ports != {"80", "443"}:
        yield f"the ports are {ports}"


# Who may do what


@rule
def a_job_is_invoked_by_the_scheduler_alone_and_from_inside(plan: Plan) -> Iterator[str]:
    account = plan.settings("archive_segments")["SCHEDULER_ACCOUNT"]
    if not account.startswith(f"{plan.one('google_service_account', 'scheduler')['account_id']}@"):
        yield f"{account} is not the scheduler"
    for invoker in plan.of("google_cloud_run_v2_service_iam_member"):
        [name] = [name for name, one in plan.functions.items() if one["name"] == invoker.values["name"]]
        who, role = invoker.values["member"], invoker.values["role"]
        if (role, who) != ("roles/run.invoker", f"serviceAccount:{account}" if name in JOBS else "allUsers"):
            yield f"{name} may be invoked by {who} as {role}"
    for name, function in plan.functions.items():
        ingress = function["service_config"][0]["ingress_settings"]
        if ingress != ("ALLOW_INTERNAL_ONLY" if name in JOBS else "ALLOW_INTERNAL_AND_GCLB"):
            yield f"{name} can be reached: {ingress}"
        if (plan.settings(name).get("IAM_CHECKS_SIGNATURES") == "true") != (name in JOBS):
            yield f"{name} believes tokens without a signature" if name not in JOBS else f"{name} refuses the scheduler"


@rule
def the_scheduler_calls_each_job_for_the_audience_that_the_job_asks_for(plan: Plan) -> Iterator[str]:
    called = {one.index: one.values for one in plan.of("google_cloud_scheduler_job")}
    if set(called) != JOBS:
        yield f"scheduled are {sorted(map(str, called))}"
    for name in sorted(JOBS & set(called)):
        settings, job = plan.settings(name), called[name]
        token = job["http_target"][0]["oidc_token"][0]
        if (token["service_account_email"], token["audience"]) != (
            settings["SCHEDULER_ACCOUNT"],
            settings["JWT_AUDIENCE"],
        ):
            yield f"{name} would refuse the scheduler's token"
        if settings["JWT_ISSUER"] != "https://accounts.google.com":
            yield f"{name} believes {settings['JWT_ISSUER']}"
        if (job["description"], job["http_target"][0]["http_method"]) != (f"POST {ENDPOINTS[name].path}", "POST"):
            yield f"{name} is called as {job['description']}"
        deadline = float(job["attempt_deadline"].rstrip("s"))
        within = plan.functions[name]["service_config"][0]["timeout_seconds"]
        if not float(settings["JOB_TIME_BUDGET_S"]) < within <= deadline <= 1800:
            yield f"{name} stops after {settings['JOB_TIME_BUDGET_S']} s of {within}, and {deadline} are waited"


@rule
def nobody_has_a_role_in_the_whole_project(plan: Plan) -> Iterator[str]:
    server = {one.values["name"] for one in plan.of("google_sql_database_instance")}
    project = plan.settings("archive_segments")["GOOGLE_CLOUD_PROJECT"]
    for one in plan.resources:
        if not re.search(r"_iam_(member|binding|policy)$", one.type):
            continue
        role, member = one.values.get("role"), one.values.get("member")
        if not one.type.endswith("_member"):
            yield f"{one.address} takes from everybody else what it does not name"
        if member in ("allUsers", "allAuthenticatedUsers") and (
            role not in ("roles/run.invoker", "roles/storage.legacyObjectReader") or one.function in JOBS
        ):
            yield f"{one.address} gives everybody {role}"
        if re.fullmatch(r"roles/(owner|editor|viewer|.*[aA]dmin)", str(role)):
            yield f"{one.address} gives {role}"
        if not re.match(r"google_(project|folder|organization)_", one.type):
            continue
        conditions = [condition["expression"] for condition in one.values.get("condition") or []]
        wanted = [NARROWED.get(str(role), "nothing").format(project=project, server=name) for name in server]
        narrowed = any(words in text for text in conditions for words in wanted)
        if not narrowed and not (role == OF_THE_BUILDER and one.name == "builder_logs"):
            yield f"{one.address} gives {role} in the whole project"


@rule
def each_function_is_somebody_of_its_own(plan: Plan) -> Iterator[str]:
    users = {one.function: one.values for one in plan.of("google_sql_user") if one.function}
    for name, function in plan.functions.items():
        account = function["service_config"][0]["service_account_email"]
        if account.partition("@")[0] != f"wl-{name.replace('_', '-')}":
            yield f"{name} runs as {account}"
        user, settings = users.get(name, {}), plan.settings(name)
        if not user.get("name") == settings["DATABASE_USER"] == account.removesuffix(".gserviceaccount.com"):
            yield f"{name} is {settings['DATABASE_USER']} in the database, where there is {user.get('name')}"
        if user.get("type") != "CLOUD_IAM_SERVICE_ACCOUNT" or user.get("database_roles") != [f"watchledger_{name}"]:
            yield f"{name} is {user.get('type')} with {user.get('database_roles')}"
    for access in plan.of("google_storage_bucket_iam_member", "archive"):
        if "archive-segments" not in access.values["member"]:
            yield f"{access.values['member']} may write to the archive"


@rule
def there_are_no_keys_and_no_secrets(plan: Plan) -> Iterator[str]:
    for one in plan.resources:
        if one.type in ("google_service_account_key", "google_secret_manager_secret_version", "random_password"):
            yield f"{one.address} is in the state"
        for name in ("password", "root_password", "private_key", "secret_data"):
            if one.values.get(name):
                yield f"{one.address} has its {name} in the state"
    for name, function in plan.functions.items():
        secret = {one["key"] for one in function["service_config"][0]["secret_environment_variables"]}
        if secret != {"LOG_PSEUDONYM_KEY"}:
            yield f"{name} has {secret} from Secret Manager"


# What a function is told


@rule
def every_setting_is_one_that_is_read(plan: Plan) -> Iterator[str]:
    known = {name.upper() for name in Settings.__dataclass_fields__ | LogSettings.__dataclass_fields__}
    told: set[str] = set()
    for name in plan.functions:
        told |= plan.settings(name).keys()
    for unknown in sorted(told - known - OF_THE_FRAMEWORK):
        yield f"{unknown} is set, and common/config.py does not read it"
    for forgotten in sorted(known - told - IN_THE_CLOUD - {"LOG_PSEUDONYM_KEY"}):
        yield f"{forgotten} is not set"


@rule
def a_request_has_a_thread_and_a_connection(plan: Plan) -> Iterator[str]:
    total = 0
    for name, function in plan.functions.items():
        settings, service = plan.settings(name), function["service_config"][0]
        requests, threads = service["max_instance_request_concurrency"], int(settings["THREADS"])
        connections = int(settings["DATABASE_CONNECTIONS"])
        if not requests == threads <= connections or (name not in JOBS and threads != connections):
            yield f"{name} has {requests} requests, {threads} threads and {connections} connections"
        if settings["INSTANCE_CONNECTION_NAME"].endswith(":watchledger"):
            total += 2 * connections * service["max_instance_count"]
        elif ENDPOINTS[name].methods != ("GET", "HEAD"):
            yield f"{name} writes to the replica"
    flags = {one["name"]: one["value"] for one in primary(plan)["settings"][0]["database_flags"]}
    if total > int(flags["max_connections"]):
        yield f"{total} connections may be opened, {flags['max_connections']} can be"


@rule
def a_function_is_deployed_from_the_archive_with_its_hash(plan: Plan) -> Iterator[str]:
    for name, function in plan.functions.items():
        archive = function["build_config"][0]["source"][0]["storage_source"][0]["object"]
        if not re.fullmatch(rf"{name}-[0-9a-f]{{12}}\.zip", archive):
            yield f"{name} is deployed from {archive}"


@rule
def who_builds_may_read_write_and_tell_what_it_has_to(plan: Plan) -> Iterator[str]:
    """As Google's documentation has it: cloud.google.com/functions/docs/securing/build-custom-sa."""
    builder = f"serviceAccount:{plan.one('google_service_account', 'builder')['account_id']}@"
    given = {one.values["role"] for one in plan.resources if str(one.values.get("member", "")).startswith(builder)}
    for role in sorted({"roles/artifactregistry.writer", OF_THE_BUILDER, "roles/storage.objectViewer"} - given):
        yield f"who builds has not got {role}"
    sources = plan.one("google_project_iam_member", "builder_sources")
    if "projects/_/buckets/gcf-v2-sources-" not in sources["condition"][0]["expression"]:
        yield "who builds cannot read the bucket that Cloud Functions copies an archive to"


@rule
def nothing_is_left_for_google_to_fill_in_that_a_plan_would_take_away(plan: Plan) -> Iterator[str]:
    for name in plan.functions:
        if plan.settings(name).get("LOG_EXECUTION_ID") != "false":
            yield f"{name} gets LOG_EXECUTION_ID from Cloud Functions"


# What must not be lost


def primary(plan: Plan) -> Mapping[str, Any]:
    return plan.one("google_sql_database_instance", "primary")


@rule
def the_database_is_private_and_can_be_brought_back(plan: Plan) -> Iterator[str]:
    for server in plan.of("google_sql_database_instance"):
        [settings] = server.values["settings"]
        [addresses] = settings["ip_configuration"]
        if addresses["ipv4_enabled"] or addresses["ssl_mode"] != "TRUSTED_CLIENT_CERTIFICATE_REQUIRED":
            yield f"{server.address} can be reached from outside, or without TLS"
        protected = (server.values["deletion_protection"], bool(settings["deletion_protection_enabled"]))
        if protected != (server.name == "primary",) * 2:  # a replica in trouble has to go, and takes nothing with it
            yield f"{server.address}: protection from deletion is {protected}"
        if settings["edition"] != "ENTERPRISE" or not settings["insights_config"][0]["query_insights_enabled"]:
            yield f"{server.address} is of another edition, or has no insights"
        if {"name": "cloudsql.iam_authentication", "value": "on"} not in settings["database_flags"]:
            yield f"{server.address} does not know accounts"
    [settings] = primary(plan)["settings"]
    [backup] = settings["backup_configuration"]
    if primary(plan)["database_version"] != "POSTGRES_18" or settings["availability_type"] != "REGIONAL":
        yield "the database is an old one, or has no standby"
    if not backup["enabled"] or not backup["point_in_time_recovery_enabled"]:
        yield "the database cannot be brought back to a moment"
    if not settings["maintenance_window"]:
        yield "the database is maintained at any time"


@rule
def the_archive_keeps_what_it_has(plan: Plan) -> Iterator[str]:
    archive = plan.one("google_storage_bucket", "archive")
    if archive["force_destroy"] or not archive["versioning"][0]["enabled"]:
        yield "the archive forgets"
    if archive["soft_delete_policy"][0]["retention_duration_seconds"] < 7 * 86_400:
        yield "what is removed from the archive is gone"
    for lifecycle in archive["lifecycle_rule"]:
        [action], [condition] = lifecycle["action"], lifecycle["condition"]
        if action["type"] == "Delete" and condition["with_state"] != "ARCHIVED":
            yield "what is in the archive is deleted in the end"
    if {one["action"][0]["storage_class"] for one in archive["lifecycle_rule"]} < {"NEARLINE", "COLDLINE", "ARCHIVE"}:
        yield "the archive does not get colder"


# Who is told of what


@rule
def every_alert_has_a_runbook_and_every_runbook_an_alert(plan: Plan) -> Iterator[str]:
    runbooks = {path.stem: path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs/runbooks").glob("*.md")}
    alerts = {str(one.index): one.values for one in plan.of("google_monitoring_alert_policy")}
    for name in sorted(runbooks.keys() ^ alerts.keys()):
        yield f"{name} is an alert or a runbook, but not both"
    for name in sorted(runbooks.keys() & alerts.keys()):
        told = alerts[name]["documentation"][0]["content"]
        if not re.fullmatch(re.sub(r"\\\$[A-Z_]+", r"[^\\s$]+", re.escape(runbooks[name])), told):
            yield f"{name} comes without its runbook, or with names that are not filled in"
        if len(told) > LONGEST_DOCUMENTATION:
            yield f"docs/runbooks/{name}.md is longer than an alert may be"
        for part in ("## What it means", "## Make sure", "## What to do", "## What not to do"):
            if part not in runbooks[name]:
                yield f"docs/runbooks/{name}.md does not say: {part}"


@rule
def what_is_counted_is_what_is_logged(plan: Plan) -> Iterator[str]:
    mains = "".join((REPOSITORY / f"functions/{name}/main.py").read_text(encoding="utf-8") for name in JOBS)
    for metric in plan.of("google_logging_metric"):
        for words in re.findall(r'jsonPayload\.message="([^"]+)"', metric.values["filter"]):
            if f'"{words}"' not in mains:
                yield f"{metric.address} waits for {words!r}, which no job logs"
        for name in re.findall(r'"(\w+)"', metric.values["filter"].partition("jsonPayload.function=")[2]):
            if name not in JOBS and name not in mains:
                yield f"{metric.address} waits for {name}"


@pytest.mark.parametrize("check", RULES, ids=lambda check: str(check.__name__))
def test_production_keeps_the_rule(production: Plan, check: Rule) -> None:
    complaints = list(check(production))

    assert not complaints, "\n".join(complaints)


def test_staging_can_be_planned(repository: Path) -> None:
    staging = plans.plan(repository, "-var-file=environments/staging.tfvars")

    assert staging.functions.keys() == ENDPOINTS.keys()


def test_an_environment_sets_whatever_the_example_sets() -> None:
    def assigned(file: str) -> set[str]:
        return set(
            re.findall(r"^(\w+) += ", (REPOSITORY / "terraform" / file).read_text(encoding="utf-8"), re.MULTILINE)
        )

    for environment in ("staging", "production"):
        assert assigned("terraform.tfvars") <= assigned(f"environments/{environment}.tfvars")


def test_who_asks_without_a_token_is_refused_as_the_uptime_check_expects(production: Plan) -> None:
    expected = production.one("google_monitoring_uptime_check_config")
    [check] = expected["http_check"]
    answering = production.answering("GET", url(production, check["path"]))

    answer = functions.load_all()[answering].app.test_client().get(check["path"])

    assert answer.status_code == check["accepted_response_status_codes"][0]["status_value"]
    assert expected["content_matchers"][0]["content"] in answer.get_data(as_text=True)


# Every rule that matters most can be broken: what is changed in Terraform, and what is said of it.

MUTATIONS: list[tuple[Rule | None, str, str, str, str]] = [
    (
        every_route_reaches_its_function_and_no_other,  # a function without a route
        "functions.tf",
        "/video/sessions/{sessionId}/heartbeat",
        "/video/sessions/{sessionId}/heartbeats",
        "reaches bucket watchledger-production-watchledger-pages, not touch_session",
    ),
    (
        every_function_is_of_a_route_and_nothing_else_is_deployed,  # a route without a function
        "functions.tf",
        "  functions = {",
        '  functions = {\n    count_viewers = {\n      route = "GET /video/lessons/{lessonId}/viewers"\n    }',
        "count_viewers is a folder in functions/ or deployed, but not both",
    ),
    (
        every_function_is_of_a_route_and_nothing_else_is_deployed,
        "functions.tf",
        '    set_lesson = {\n      route = "PUT /video/lessons/{lessonId}"\n    }\n',
        "",
        "set_lesson is a folder in functions/ or deployed, but not both",
    ),
    (
        a_job_is_invoked_by_the_scheduler_alone_and_from_inside,  # a public job
        "deployment.tf",
        '? "serviceAccount:${local.scheduler}" : "allUsers"',
        '? "allUsers" : "allUsers"',
        "sweep_stale_sessions may be invoked by allUsers",
    ),
    (
        nobody_has_a_role_in_the_whole_project,  # a project-wide role
        "modules/function/identity.tf",
        'toset(["roles/cloudsql.client", "roles/cloudsql.instanceUser"])',
        'toset(["roles/cloudsql.client", "roles/cloudsql.instanceUser", "roles/storage.objectViewer"])',
        "gives roles/storage.objectViewer in the whole project",
    ),
    (
        nobody_has_a_role_in_the_whole_project,
        "migrator.tf",
        "/instances/${google_sql_database_instance.primary.name}",
        "/instances/",
        "gives roles/cloudsql.client in the whole project",
    ),
    (
        each_function_is_somebody_of_its_own,  # a function whose role may do more
        "modules/function/identity.tf",
        '["watchledger_${var.name}"]',
        '["watchledger_${var.name}", "cloudsqlsuperuser"]',
        "with ['watchledger_find_lesson', 'cloudsqlsuperuser']",
    ),
    (
        who_builds_may_read_write_and_tell_what_it_has_to,
        "sources.tf",
        "gcf-v2-sources-",
        "gcf-v2-uploads-",
        "who builds cannot read the bucket",
    ),
    (None, "database.tf", "deletion_protection = ", "deletion_protektion = ", "An argument named"),  # misspelt
]


@pytest.mark.parametrize(
    ("check", "file", "words", "others", "complaint"),
    MUTATIONS,
    ids=[f"{file}: {complaint[:40]}" for _, file, _, _, complaint in MUTATIONS],
)
def test_a_mistake_is_noticed(
    tmp_path: Path, repository: Path, check: Rule | None, file: str, words: str, others: str, complaint: str
) -> None:
    broken = tmp_path / "repository"
    shutil.copytree(repository, broken, ignore=shutil.ignore_patterns("plan.json"))
    path = broken / "terraform" / file
    text = path.read_text(encoding="utf-8")
    assert words in text
    path.write_text(text.replace(words, others), encoding="utf-8")

    try:
        complaints = list(check(plans.plan(broken, PRODUCTION, "-var environment=example"))) if check else []
        if not check:
            plans.plan(broken, PRODUCTION)
    except NotPlanned as refused:
        complaints = [str(refused)]

    assert complaint in "\n".join(complaints)
