//go:build unix

package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the types of the manifest's objects, as the API server has them.
var kinds = map[string]func() any{
	"v1 Namespace":                                    func() any { return new(corev1.Namespace) },
	"v1 ServiceAccount":                               func() any { return new(corev1.ServiceAccount) },
	"v1 ConfigMap":                                    func() any { return new(corev1.ConfigMap) },
	"v1 Service":                                      func() any { return new(corev1.Service) },
	"apps/v1 Deployment":                              func() any { return new(appsv1.Deployment) },
	"policy/v1 PodDisruptionBudget":                   func() any { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy":              func() any { return new(networkingv1.NetworkPolicy) },
	"rbac.authorization.k8s.io/v1 ClusterRole":        func() any { return new(rbacv1.ClusterRole) },
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding": func() any { return new(rbacv1.ClusterRoleBinding) },
}

// manifest reads the objects of iterdns.yaml by "Kind name". A field that Kubernetes does
// not know, or of another type, is an error.
func manifest(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("kubernetes/iterdns.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := make(map[string]any)
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		made, ok := kinds[head.APIVersion+" "+head.Kind]
		if !ok {
			t.Fatalf("unknown kind %s %s", head.APIVersion, head.Kind)
		}
		object := made()
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		objects[head.Kind+" "+head.Metadata.Name] = object
	}
	return objects
}

// Kubernetes knows every field of the manifest, and nothing in it has more rights than it
// needs, shows a secret, or goes unwatched.
func TestManifestFields(t *testing.T) {
	objects := manifest(t)
	for _, name := range []string{"iterdns", "redis"} {
		deployment, ok := objects["Deployment "+name].(*appsv1.Deployment)
		if !ok {
			t.Fatalf("there is no Deployment %s", name)
		}
		pod := deployment.Spec.Template.Spec
		if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 ||
			s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: got %+v, want a user that is not root and seccomp", name, s)
		}
		for _, c := range pod.Containers {
			if s := c.SecurityContext; s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
				s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.Capabilities == nil ||
				!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) != 0 {
				t.Errorf("%s: got %+v, want no rights at all", c.Name, s)
			}
			if c.ReadinessProbe == nil || c.LivenessProbe == nil {
				t.Errorf("%s has no probes", c.Name)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() {
				t.Errorf("%s has no bound of memory", c.Name)
			}
			if words := strings.Join(slices.Concat(c.Command, c.Args), " "); strings.Contains(words, "--requirepass") || strings.Contains(words, "-a ") {
				t.Errorf("%s: a password is among the arguments: %s", c.Name, words)
			}
		}
	}
	pod := objects["Deployment iterdns"].(*appsv1.Deployment).Spec.Template.Spec
	if pod.PriorityClassName != "system-cluster-critical" {
		t.Errorf("got priority %q", pod.PriorityClassName)
	}
	if !slices.Contains(pod.SecurityContext.Sysctls, corev1.Sysctl{Name: "net.ipv4.ip_unprivileged_port_start", Value: "53"}) {
		t.Errorf("got %v, want port 53 without root", pod.SecurityContext.Sysctls)
	}
	budget, ok := objects["PodDisruptionBudget iterdns"].(*policyv1.PodDisruptionBudget)
	if !ok || budget.Spec.MinAvailable.IntValue() >= int(*objects["Deployment iterdns"].(*appsv1.Deployment).Spec.Replicas) {
		t.Errorf("got %+v, want a budget that lets a pod go", budget)
	}
}

// The alert rules are rules, on metrics that there are: the page of the plugin has them all.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("kubernetes/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("iterdns/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			rules++
			if rule.Alert == "" || rule.For == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
				t.Errorf("%+v is incomplete", rule)
			}
			metrics := 0
			for word := range strings.FieldsFuncSeq(rule.Expr, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
				if strings.HasPrefix(word, "coredns_") {
					metrics++
					if !strings.Contains(string(page), "`"+word+"{") {
						t.Errorf("%s: there is no metric %s", rule.Alert, word)
					}
				}
			}
			if metrics == 0 {
				t.Errorf("%s: got no metric in %q", rule.Alert, rule.Expr)
			}
		}
	}
	if rules == 0 {
		t.Error("there are no rules")
	}
}
