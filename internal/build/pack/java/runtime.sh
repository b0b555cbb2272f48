set -e
modules=java.se,jdk.unsupported,jdk.charsets,jdk.crypto.cryptoki,jdk.crypto.ec,jdk.compiler,jdk.httpserver,jdk.jfr,jdk.localedata,jdk.management,jdk.management.agent,jdk.naming.dns,jdk.net,jdk.nio.mapmode,jdk.sctp,jdk.security.auth,jdk.security.jgss,jdk.xml.dom,jdk.zipfs
have=$(java --list-modules | sed 's/@.*//')
add=
for m in $(echo $modules | tr , ' '); do if echo "$have" | grep -qx "$m"; then add=$add${add:+,}$m; fi; done
jlink --add-modules "$add" --strip-debug --no-header-files --no-man-pages --compress=2 --output /tmp/java
rm -f /tmp/java/lib/security/cacerts
cp -L /etc/ssl/certs/java/cacerts /tmp/java/lib/security/cacerts
/tmp/java/bin/java -Xshare:dump > /dev/null 2>&1 || true
cp -a /tmp/java/. /out/
rm -rf /tmp/java
