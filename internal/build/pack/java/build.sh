# Builds a Java project in the current directory, and puts what was built into
# /out, in its places, with a script that starts it.
set -euo pipefail
case $TOOL in
maven)
  args=(--batch-mode --no-transfer-progress -DskipTests -Dmaven.repo.local=/cache/maven "-Dproject.build.outputTimestamp=2000-01-01T00:00:00Z")
  if [ -r "$MAVEN_SETTINGS" ]; then args+=(--settings "$MAVEN_SETTINGS"); fi
  if [ -n "${WRAPPER:-}" ]; then mvn=(sh ./mvnw); export MAVEN_USER_HOME=/cache/wrapper; else mvn=(mvn); fi
  "${mvn[@]}" "${args[@]}" $TASKS
  ;;
gradle)
  args=(--no-daemon --console=plain)
  if [ -r "$GRADLE_INIT" ]; then args+=(--init-script "$GRADLE_INIT"); fi
  if [ -n "${WRAPPER:-}" ]; then
    gradle=(sh ./gradlew)
    if [ -n "${GRADLE_DISTRIBUTIONS:-}" ]; then
      sed -i "s|^distributionUrl=.*/|distributionUrl=${GRADLE_DISTRIBUTIONS//:/\\\\:}/|" gradle/wrapper/gradle-wrapper.properties
    fi
  else
    gradle=(gradle)
  fi
  "${gradle[@]}" "${args[@]}" $TASKS -x test
  ;;
esac

find . -type f \( -path '*/target/*.jar' -o -path '*/target/*.war' -o -path '*/build/libs/*' -o -path '*/build/install/*' -o -path '*/target/dependency/*' \
  -o -path '*/target/quarkus-app/*' -o -path '*/target/appassembler/*' -o -path '*/target/universal/stage/*' \) \
  ! -path '*/classes/*' ! -path '*/target/maven-*' -exec cp --parents -p {} /out/ \;
if [ -n "${STARTED:-}" ]; then exit; fi

programs=() wars=() scripts=()
consider() {
  case $(basename "$1") in *-sources.jar | *-javadoc.jar | *-tests.jar | *-plain.jar | original-*) return ;; esac
  if [[ ! $1 =~ ^[A-Za-z0-9._/+-]+$ ]]; then return; fi
  if unzip -p "$1" META-INF/MANIFEST.MF 2>/dev/null | grep -q '^Main-Class:'; then
    programs+=("$1")
  elif [[ $1 = *.war ]]; then
    wars+=("$1")
  fi
}
if [ -n "$READY" ]; then
  consider "$READY"
else
  cd /out
  while read -r f; do consider "$f"; done < <(find . -path '*/target/quarkus-app/quarkus-run.jar' -printf '%P\n')
  if [ ${#programs[@]} = 0 ]; then
    while read -r f; do consider "$f"; done < <(find . \( -path '*/target/*.jar' -o -path '*/target/*.war' -o -path '*/build/libs/*.jar' -o -path '*/build/libs/*.war' \) \
      ! -path '*/target/*/*' -printf '%P\n' | sort)
  fi
  while read -r f; do scripts+=("$f"); done < <(find . -path '*/build/install/*/bin/*' ! -name '*.bat' -printf '%P\n' | sort)
fi

properties='-Dserver.port=$PORT -Dquarkus.http.port=$PORT -Dmicronaut.server.port=$PORT'
if [ ${#scripts[@]} = 1 ] && [ ${#programs[@]} = 0 ]; then
  line="JAVA_OPTS=\"$properties \$JAVA_OPTS\" exec sh '/app/${scripts[0]}'"
elif [ ${#programs[@]} = 1 ]; then
  line="exec java $properties \$JAVA_OPTS -jar '${programs[0]}'"
elif [ ${#programs[@]} -gt 1 ]; then
  echo "several programs were built: ${programs[*]}. Add a Procfile, such as \"web: java \$JAVA_OPTS -jar ${programs[0]}\"." >&2
  exit 1
elif [ ${#wars[@]} = 1 ] && [ "$SERVER" = jetty ]; then
  line="mkdir -p /tmp/jetty/webapps && ln -sf '/app/${wars[0]}' /tmp/jetty/webapps/ROOT.war && cd /tmp/jetty &&
exec java \$JAVA_OPTS -Djava.io.tmpdir=/tmp -cp \"/opt/jetty/start.jar:\$(echo /opt/jetty/lib/jetty-util-9*.jar)\" org.eclipse.jetty.start.Main jetty.home=/opt/jetty jetty.base=/tmp/jetty jetty.http.port=\$PORT --module=http,http-forwarded,deploy,jsp,jstl,websocket"
elif [ ${#wars[@]} = 1 ] && [ "$SERVER" = tomcat ]; then
  line="mkdir -p /tmp/tomcat/conf /tmp/tomcat/temp /tmp/tomcat/webapps && cp /opt/tomcat/server.xml /opt/tomcat/skel/conf/web.xml /tmp/tomcat/conf/ &&
exec java \$JAVA_OPTS -Djava.io.tmpdir=/tmp/tomcat/temp -Dcatalina.home=/opt/tomcat -Dcatalina.base=/tmp/tomcat -Dport=\$PORT -Dwar='/app/${wars[0]}' -cp /opt/tomcat/bin/bootstrap.jar:/opt/tomcat/bin/tomcat-juli.jar org.apache.catalina.startup.Bootstrap start"
else
  echo "nothing that can be started was found: no jar with a Main-Class, no war, no start script. Add a Procfile that says how the app is started." >&2
  exit 1
fi
echo "starts with: $line"
printf '#!/bin/sh\ncd /app\n%s\n' "$line" > /out/.start
