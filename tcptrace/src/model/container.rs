//! The container, pod or service that a control group's path names.

/// A short name for the container, pod or service in the cgroup at `path`; `None` for the root and
/// for other paths.
#[must_use]
pub fn name(path: &str) -> Option<String> {
    container(path).or_else(|| unit(path).map(ToOwned::to_owned))
}

/// The innermost service of systemd in the cgroup at `path`, if it is in one.
#[must_use]
pub fn unit(path: &str) -> Option<&str> {
    path.rsplit('/').find(|part| part.ends_with(".service"))
}

/// A short name for the container or pod in the cgroup at `path`, if it is in one.
#[must_use]
pub fn container(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let Some(pod) = parts.iter().find_map(|part| pod_id(part)) {
        let container = parts.last().and_then(|part| container_id(part));
        return Some(match container {
            Some((_, id)) => format!("pod {pod} ({id})"),
            None => format!("pod {pod}"),
        });
    }
    // Inner groups of a container come after its own.
    if let Some((engine, id)) = parts.iter().rev().find_map(|part| container_id(part)) {
        let engine = engine
            .or_else(|| parts.contains(&"docker").then_some("docker"))
            .unwrap_or("container");
        return Some(format!("{engine} {id}"));
    }
    if let Some(name) = parts
        .iter()
        .find_map(|part| part.strip_prefix("lxc.payload."))
    {
        return Some(format!("lxc {name}"));
    }
    let machine = |part: &&str| {
        Some(
            part.strip_prefix("machine-")?
                .strip_suffix(".scope")?
                .to_owned(),
        )
    };
    let name = parts.iter().find_map(machine)?;
    Some(format!("machine {name}"))
}

/// `pod<uid>` or `kubepods-burstable-pod<uid>.slice`, where systemd writes `_` for `-`.
fn pod_id(part: &str) -> Option<String> {
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let id = match part.rsplit_once("-pod") {
        Some((before, id)) if before.starts_with("kubepods") => id,
        _ => part.strip_prefix("pod")?,
    };
    let id = id.replace('_', "-");
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    (id.len() >= 32 && id.chars().all(hex)).then_some(id)
}

/// The engine, if the name shows it, and the first 12 digits of a container's id: `docker-<64
/// hex>.scope`, `cri-containerd-<64 hex>.scope`, `libpod-<64 hex>.scope`, `<64 hex>`.
fn container_id(part: &str) -> Option<(Option<&'static str>, &str)> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (engine, id) = match part.rsplit_once('-') {
        Some(("docker", id)) => (Some("docker"), id),
        Some(("libpod", id)) => (Some("podman"), id),
        Some(("crio", id)) => (Some("cri-o"), id),
        Some(("cri-containerd", id)) => (Some("containerd"), id),
        Some((_, id)) => (None, id),
        None => (None, part),
    };
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| (engine, &id[..12]))
}

#[cfg(test)]
mod tests {
    use super::name;

    const ID: &str = "3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a";
    const UID: &str = "0123abcd-4567-89ef-0123-456789abcdef";

    #[test]
    fn names_containers_of_each_engine() {
        for (path, expected) in [
            (
                format!("/system.slice/docker-{ID}.scope"),
                "docker 3f2a1b9c8d7e",
            ),
            (format!("/docker/{ID}"), "docker 3f2a1b9c8d7e"),
            (format!("/docker/{ID}/init.scope"), "docker 3f2a1b9c8d7e"),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                "podman 3f2a1b9c8d7e",
            ),
            (format!("/{ID}"), "container 3f2a1b9c8d7e"),
            ("/lxc.payload.web/system.slice".into(), "lxc web"),
            ("/machine.slice/machine-web.scope".into(), "machine web"),
        ] {
            assert_eq!(name(&path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn names_pods_with_either_cgroup_driver() {
        let systemd = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/\
             cri-containerd-{ID}.scope",
            UID.replace('-', "_")
        );
        let cgroupfs = format!("/kubepods/besteffort/pod{UID}/{ID}");
        for path in [systemd, cgroupfs] {
            assert_eq!(name(&path), Some(format!("pod {UID} (3f2a1b9c8d7e)")));
        }
    }

    #[test]
    fn names_a_service_and_nothing_else() {
        assert_eq!(
            name("/system.slice/nginx.service"),
            Some("nginx.service".into())
        );
        assert_eq!(name("/user.slice/user-0.slice/session-1.scope"), None);
        assert_eq!(name("/"), None);
        assert_eq!(name("/podium"), None);
    }
}
